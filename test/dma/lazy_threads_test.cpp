// SPDX-License-Identifier: BSD-3-Clause
// Everything at once: lcores and threads without one map and unmap, lazily and strictly; one
// makes passes, one drains; the backend fails now and then. No address is two's, and what is
// mapped reaches its memory until its unmap is called.
#include "lazy_fixture.h"
#include "random.h"

namespace iovad::dma {
namespace {

constexpr unsigned kMappers = 4;  // two lcores, two threads without one

struct Held {
	uint64_t va, len, iova;
};

// Who has which page of the domain, from the return of map() to the call of unmap.
class Owners {
public:
	explicit Owners(uint64_t pages) : pages_(pages + 1) {}

	// False: somebody has some of it.
	bool take(uint64_t iova, uint64_t len) { return count(iova, len, 1) == 0; }
	bool leave(uint64_t iova, uint64_t len) { return count(iova, len, -1) == 0; }

private:
	unsigned count(uint64_t iova, uint64_t len, int change)
	{
		unsigned wrong = 0;
		for (uint64_t page = iova / k4K; page <= (iova + len - 1) / k4K; ++page)
			wrong += pages_.at(page).fetch_add(static_cast<uint8_t>(change)) != (change > 0 ? 0 : 1);
		return wrong;
	}
	std::vector<std::atomic<uint8_t>> pages_;
};

class Crowd {
public:
	Crowd(Policy policy, bool failing, uint64_t seed, uint64_t pages)
		: seed_(seed), failing_(failing), owners_(pages), rig_(config(policy, pages))
	{
	}
	void run(unsigned steps)
	{
		std::vector<std::thread> mappers, others;
		for (unsigned me = 0; me < kMappers; ++me)
			mappers.emplace_back([=, this] { map_and_unmap(me, steps); });
		others.emplace_back([this] { repeat([&] { rig_.pass(); }); });
		others.emplace_back([this] { repeat([&] { rig_.mapper.drain(8); }); });
		others.emplace_back([this] { be_the_world(); });
		for (std::thread &t : mappers)
			t.join();
		stop_ = true;
		for (std::thread &t : others)
			t.join();
		rig_.faulty.heal();
		EXPECT_EQ(0u, twice_);
		EXPECT_EQ(0u, unreached_);
		EXPECT_EQ(0u, lost_);
		EXPECT_EQ(0u, above_);
		EXPECT_GT(mapped_, steps / 8);
		EXPECT_EQ(0u, rig_.queues.counters.bad_unmaps);
		for (unsigned lcore = 0; lcore < 2; ++lcore)
			rig_.mapper.release_lcore(lcore);
		rig_.expect_nothing_left();
	}

private:
	static constexpr uint64_t kMost = 200;

	static RigConfig config(Policy policy, uint64_t pages)
	{
		RigConfig out = small(pages, {.records = 1024, .most_deferred = kMost});
		out.policy = policy;
		return out;
	}
	template <class Work> void repeat(Work work)
	{
		for (; !stop_; std::this_thread::yield())
			work();
	}
	// Failures, ends of service, gauges.
	void be_the_world()
	{
		core::Random random(seed_ * 1000);
		repeat([&] {
			above_ += rig_.queues.deferred().granules > kMost || rig_.queues.oldest(0) != 0;
			if (failing_ && random.below(4) == 0)
				rig_.faulty.fail(random.below(2) ? Call::unmap : Call::map, 1 + random.below(9), kBroken, 1 + random.below(3));
			if (random.below(50) == 0)
				rig_.faulty.heal();
			if (random.below(20) == 0)
				rig_.mapper.serve(random.below(3) ? kForEver : 0);
		});
	}
	void map_and_unmap(unsigned me, unsigned steps)
	{
		const unsigned lcore = me < 2 ? me : core::kNoLcore;
		core::Random random(seed_ + me);
		std::vector<Held> held;
		for (unsigned i = 0; i < steps; ++i) {
			if (held.size() < 12 && random.below(2) == 0)
				map(lcore, random, me, held);
			else if (!held.empty())
				unmap(lcore, random, held);
			if (i % 8 != 0)
				continue;
			for (const Held &h : held)
				unreached_ += !rig_.reaches(h.iova, h.va, h.len, 3) || rig_.iova2va(h.iova, h.len) != h.va;
			if (lcore != core::kNoLcore && random.below(100) == 0)
				rig_.mapper.release_lcore(lcore);
		}
		while (!held.empty())
			unmap(lcore, random, held);
	}
	void map(unsigned lcore, core::Random &random, unsigned me, std::vector<Held> &held)
	{
		// Of its own, so that nothing is shared.
		Held h{kMemory + me * 64 * k1G + random.below(256) * 16 * k4K, 1 + random.below(random.below(8) ? 2 * k4K : 10 * k4K), 0};
		const auto overlaps = [&](const Held &o) { return o.va < h.va + 16 * k4K && h.va < o.va + 16 * k4K; };
		if (std::any_of(held.begin(), held.end(), overlaps))
			return;
		if (!rig_.mapper.map(lcore, at(h.va), h.len, kNoLimit, 3, h.iova).ok())
			return;
		++mapped_;
		twice_ += !owners_.take(h.iova, h.len);
		unreached_ += !rig_.reaches(h.iova, h.va, h.len, 3) || rig_.va2iova(h.va, h.len) != h.iova;
		held.push_back(h);
	}
	void unmap(unsigned lcore, core::Random &random, std::vector<Held> &held)
	{
		std::swap(held[random.below(held.size())], held.back());
		const Held h = held.back();
		held.pop_back();
		unreached_ += !rig_.reaches(h.iova, h.va, h.len, 3);
		twice_ += !owners_.leave(h.iova, h.len);
		const Status status = random.below(4) ? rig_.unmap_lazy(h.iova, h.len, lcore) : rig_.mapper.unmap(lcore, h.iova, h.len).status;
		lost_ += status != Status::ok && !(failing_ && status == Status::failed);
	}

	const uint64_t seed_;
	const bool failing_;
	Owners owners_;
	LazyRig rig_;
	std::atomic<bool> stop_ = false;
	std::atomic<uint64_t> twice_ = 0, unreached_ = 0, lost_ = 0, above_ = 0, mapped_ = 0;
};

TEST(LazyThreads, NoAddressIsTwos)
{
	for (const Policy policy : {Policy::lazy, Policy::strict, Policy::checked})
		Crowd(policy, false, 1, 2000).run(8000);
}

TEST(LazyThreads, NorWhereTheDomainIsHardlyLargeEnough)
{
	Crowd(Policy::lazy, false, 2, 300).run(8000);
}

TEST(LazyThreads, NorWhereTheBackendFailsNowAndThen)
{
	for (uint64_t seed = 1; seed <= 3; ++seed) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		Crowd(Policy::lazy, true, seed, 2000).run(5000);
	}
}

// The same few pages by all: lookups lead to somebody's live mapping of them.
TEST(LazyThreads, MemoryThatAllMapIsAlwaysFound)
{
	LazyRig rig(lazily({.records = 1024, .most_deferred = 100}));
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> wrong = 0;
	std::thread control([&] {
		for (; !stop; std::this_thread::yield())
			rig.pass();
	});
	std::vector<std::thread> threads;
	for (unsigned me = 0; me < 3; ++me) {
		threads.emplace_back([&, me] {
			core::Random random(me + 1);
			for (unsigned i = 0; i < 3000; ++i) {
				const uint64_t va = kMemory + random.below(6 * k4K), len = 1 + random.below(3 * k4K);
				uint64_t iova = 0;
				wrong += !rig.mapper.map(me, at(va), len, kNoLimit, 3, iova).ok();
				wrong += rig.va2iova(va) == 0 || rig.va2iova(va + len - 1) == 0;
				wrong += !rig.reaches(iova, va, len, 3);
				wrong += rig.unmap_lazy(iova, len, me) != Status::ok;
			}
		});
	}
	for (std::thread &t : threads)
		t.join();
	stop = true;
	control.join();
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(0u, rig.queues.counters.bad_unmaps);
	rig.expect_nothing_left();
}

}  // namespace
}  // namespace iovad::dma
