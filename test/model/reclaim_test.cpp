// SPDX-License-Identifier: BSD-3-Clause
// Reclaim and revocation: no address is lost or has two owners, whatever the owners of the caches do meanwhile. And
// each part of the protocol is needed: without it a failure is found.
#include "domain_scenario.h"

namespace iovad::model {
namespace {

using Kind = Defect::Kind;

constexpr Bounds kOne = {1, 2}, kTwo = {2, 2}, kThree = {3, 2};

// An lcore beside one who revokes its cache. Its loaded magazine is empty, the other full: so it can put, and has to
// change them to get.
class Revoked : public DomainScenario {
public:
	enum class Case {
		puts,      // and does no more
		hits,      // it puts, then gets
		misses,    // it gets, then puts
		looked_at  // nothing is taken away; it has something to get, and to put in its place
	};
	enum class Without {
		nothing, first_barrier, fence, first_barrier_and_fence, second_barrier, release_of_counts,
		acquire_of_counts, waiting, look_at_revoked, release_of_loaded, acquire_of_loaded
	};

	Revoked(Case which, Without without) : DomainScenario(32), case_(which)
	{
		mine_ = taken(0);
		give(0, mine_);
		mine_ = taken(0);
		if (case_ == Case::looked_at)
			give(0, taken(1));
		if (case_ == Case::misses)
			use_all_places();
		remove(without);
	}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override
	{
		if (thread == 1)
			return revoke();
		if (case_ == Case::puts || case_ == Case::hits)
			give(0, mine_);
		if (case_ == Case::puts)
			return;
		const uint64_t another = taken(0);
		if (case_ != Case::hits)
			give(0, another);
	}

private:
	// So that whatever count is wrong, what it takes for an address is one of the domain's.
	void use_all_places()
	{
		const uint64_t a = taken(0), b = taken(0), c = taken(0);
		for (uint64_t iova : {mine_, a, b, c})
			give(0, iova);
		while (pair(0).put != pair(0).taken)
			mine_ = taken(0);
	}
	void revoke()
	{
		if (case_ == Case::looked_at)
			check(domain_.verify(nullptr), "the domain is not sound");
		else
			check(domain_.reclaim().complete, "a reclaim is not complete");
	}
	void remove(Without without)
	{
		Machine &machine = Machine::get();
		const Defect barrier = {Kind::no_barrier}, fence = {Kind::no_fence};
		const uint64_t *put = &pair(0).put, *gotten = &pair(0).taken;
		switch (without) {
		case Without::nothing: return;
		case Without::first_barrier: return machine.plant(barrier);
		case Without::fence: return machine.plant(fence);
		case Without::first_barrier_and_fence:
			machine.plant(barrier);
			return machine.plant(fence);
		case Without::second_barrier: return machine.plant({Kind::no_barrier, nullptr, nullptr, 0, 1});
		case Without::release_of_counts: return machine.plant({Kind::relaxed_stores, put});
		case Without::acquire_of_counts: return machine.plant({Kind::relaxed_loads, put});
		case Without::waiting: return machine.plant({Kind::blind, gotten, nullptr, *gotten, 1});
		case Without::look_at_revoked: return machine.plant({Kind::blind, &cache(0).revoked_, nullptr, 0, 0});
		case Without::release_of_loaded: return machine.plant({Kind::relaxed_stores, &pair(0).loaded});
		case Without::acquire_of_loaded: return machine.plant({Kind::relaxed_loads, &pair(0).loaded});
		}
	}

	const Case case_;
	uint64_t mine_;
};

using Case = Revoked::Case;
using Without = Revoked::Without;

TEST(Reclaim, TakesWhatAnLcoreIsUsing)
{
	expect_none_fails<Revoked>(kThree, Case::puts, Without::nothing);
	expect_none_fails<Revoked>(kTwo, Case::hits, Without::nothing);
	expect_found<Revoked>(kTwo, Case::hits, Without::second_barrier);
	expect_found<Revoked>(kTwo, Case::hits, Without::waiting);
	expect_found<Revoked>(kTwo, Case::hits, Without::look_at_revoked);
}

// The cold path has a fence of its own, for lcores of other processes: within one either will do.
TEST(Reclaim, NeedsOneOfTwoFencesOnTheColdPath)
{
	expect_none_fails<Revoked>(kTwo, Case::misses, Without::nothing);
	expect_none_fails<Revoked>(Bounds{2, 1}, Case::misses, Without::first_barrier);
	expect_none_fails<Revoked>(Bounds{2, 1}, Case::misses, Without::fence);
	expect_found<Revoked>(kTwo, Case::misses, Without::first_barrier_and_fence);
}

TEST(Reclaim, VerificationReadsWhatItGivesBack)
{
	expect_none_fails<Revoked>(kTwo, Case::looked_at, Without::nothing);
	expect_found<Revoked>(kTwo, Case::looked_at, Without::release_of_counts);
	expect_found<Revoked>(kTwo, Case::looked_at, Without::acquire_of_counts);
	expect_found<Revoked>(kTwo, Case::looked_at, Without::release_of_loaded);
	expect_found<Revoked>(kTwo, Case::looked_at, Without::acquire_of_loaded);
}

// Lcores that want, together, all that is free; each takes more than it needs, if it can.
class Demand : public DomainScenario {
public:
	enum class Without { nothing, release_of_in_flight, acquire_of_in_flight, in_flight };

	explicit Demand(Without without) : DomainScenario(16)
	{
		uint64_t all[16];
		for (uint64_t &iova : all)
			iova = taken(2);
		give(2, all[14]);
		give(2, all[15]);
		domain_.release_lcore(2);
		// Lcores that have their caches.
		for (unsigned lcore = 0; lcore < 2; ++lcore)
			give(lcore, taken(lcore));
		domain_.reclaim();
		remove(without);
	}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override { taken(thread); }

private:
	void remove(Without without)
	{
		for (unsigned lcore = 0; lcore < 2; ++lcore) {
			const void *in_flight = &cache(lcore).in_flight_;
			switch (without) {
			case Without::nothing: break;
			case Without::release_of_in_flight: plant({Kind::relaxed_stores, in_flight}); break;
			case Without::acquire_of_in_flight: plant({Kind::relaxed_loads, in_flight}); break;
			case Without::in_flight: plant({Kind::blind, in_flight, nullptr, 0, 1}); break;
			}
		}
	}
	static void plant(const Defect &defect) { Machine::get().plant(defect); }
};

TEST(Reclaim, NobodyIsRefusedWhatAnotherHasTooMuch)
{
	expect_none_fails<Demand>(kOne, Demand::Without::nothing);
	expect_found<Demand>(kOne, Demand::Without::in_flight);
	expect_found<Demand>(kOne, Demand::Without::release_of_in_flight);
	expect_found<Demand>(kOne, Demand::Without::acquire_of_in_flight);
}

// An lcore, another that leaves, and one who reclaims.
class Leaving : public DomainScenario {
public:
	Leaving() : DomainScenario(32)
	{
		mine_ = taken(0);
		give(1, taken(1));
	}
	unsigned threads() const override { return 3; }
	void run(unsigned thread) override
	{
		if (thread == 0)
			give(0, mine_);
		else if (thread == 1)
			domain_.release_lcore(1);
		else
			domain_.reclaim();
	}

private:
	uint64_t mine_;
};

TEST(Reclaim, BesideAnLcoreThatLeaves) { expect_none_fails<Leaving>(Bounds{1, 1}); }

}  // namespace
}  // namespace iovad::model
