// SPDX-License-Identifier: BSD-3-Clause
// Random work on a backend that fails at random, beside a model.
#include <cerrno>
#include <map>

#include "mapper_fixture.h"
#include "random.h"

namespace iovad::dma {
namespace {

using core::MappingTable;
using Counters = MappingTable::Counters;

class RandomWork {
public:
	explicit RandomWork(uint64_t seed, bool cached) : random_(seed), rig_({.cached = cached}) {}

	void run(unsigned steps)
	{
		for (unsigned i = 0; i < steps; ++i) {
			if (random_.below(6) == 0)
				break_something();
			step();
			if (i % 8 == 0)
				check();
			if (testing::Test::HasFatalFailure())
				return;
		}
		rig_.faulty.heal();
		rig_.starve(0);
		while (!claims_.empty())
			unmap();
		while (!regions_.empty())
			remove_region();
		rig_.mapper.make_room(0);
		rig_.expect_empty();
	}

private:
	static constexpr uint64_t kPages = 1400;

	void break_something()
	{
		const Call kinds[] = {Call::map, Call::unmap, Call::any};
		const Outcome outcomes[] = {kBroken, {Status::no_space, ENOSPC, "full"}, {Status::no_memory, ENOMEM, "none"}};
		rig_.faulty.fail(kinds[random_.below(3)], 1 + random_.below(4), outcomes[random_.below(3)], 1 + random_.below(3));
		rig_.starve(random_.below(3));
	}
	void step()
	{
		switch (random_.below(8)) {
		case 0: case 1: case 2: case 3: map(); break;
		case 4: case 5: unmap(); break;
		case 6: random_.below(2) ? add_region() : remove_region(); break;
		default: random_.below(4) ? static_cast<void>(unmap()) : static_cast<void>(rig_.mapper.make_room(0));
		}
	}
	void memory(uint64_t &va, uint64_t &len)
	{
		// Half of it close together, some far away.
		const uint64_t base = random_.below(4) ? kMemory : kMemory + random_.below(40) * 600 * k1G;
		va = base + random_.below(kPages * k4K);
		len = 1 + random_.below(random_.below(3) ? 4 * k4K : kPages * k4K);
	}
	void map()
	{
		uint64_t va, len, iova;
		memory(va, len);
		const auto dir = static_cast<uint32_t>(1 + random_.below(3));
		const uint64_t limit = random_.below(3) ? kNoLimit : kLimit32;
		const Snapshot before = rig_.snapshot();
		if (rig_.map(va, len, iova, dir, limit) == Status::ok) {
			ASSERT_LE(iova + len - 1, limit);
			claims_.push_back({iova, va, len, dir});
		} else if (before.quarantined == 0) {  // else it may have been flushed
			ASSERT_EQ(before, rig_.snapshot());
		}
	}
	void unmap()
	{
		if (claims_.empty())
			return;
		std::swap(claims_[random_.below(claims_.size())], claims_.back());
		const Status status = rig_.unmap(claims_.back().iova, claims_.back().len);
		ASSERT_TRUE(status == Status::ok || status == Status::failed);
		claims_.pop_back();
	}
	void add_region()
	{
		uint64_t va, len, iova;
		memory(va, len);
		bool overlaps = false;
		for (const auto &r : regions_)
			overlaps |= va < r.va + r.len && r.va < va + len;
		const Status status = rig_.add_region(va, len, iova);
		ASSERT_EQ(overlaps, status == Status::exists);
		if (status == Status::ok)
			regions_.push_back({iova, va, len, 3});
	}
	void remove_region()
	{
		if (regions_.empty())
			return;
		std::swap(regions_[random_.below(regions_.size())], regions_.back());
		const Status status = rig_.remove_region(regions_.back().va, regions_.back().len);
		ASSERT_TRUE(status == Status::ok || status == Status::failed || status == Status::busy);
		if (status != Status::busy)
			regions_.pop_back();
	}
	void check()
	{
		ASSERT_TRUE(rig_.verify());
		for (const auto *list : {&claims_, &regions_}) {
			for (const auto &c : *list) {
				ASSERT_TRUE(rig_.reaches(c.iova, c.va, c.len, c.dir));
				ASSERT_EQ(c.va, rig_.iova2va(c.iova, c.len));
				const uint64_t byte = random_.below(c.len), found = rig_.va2iova(c.va + byte);
				// Unless there is no table for it.
				if (found != 0) {
					ASSERT_EQ(c.va + byte, rig_.iova2va(found));
				}
				ASSERT_TRUE(found != 0 || rig_.table.starved());
			}
		}
	}

	struct Claim {
		uint64_t iova, va, len;
		uint32_t dir;
	};
	core::Random random_;
	Rig rig_;
	std::vector<Claim> claims_, regions_;
};

TEST(MapperRandom, WorkWithFailures)
{
	for (uint64_t seed = 1; seed <= 16; ++seed) {
		SCOPED_TRACE(seed);
		RandomWork(seed, seed % 2 == 0).run(300);
		if (testing::Test::HasFailure())
			return;
	}
}

}  // namespace
}  // namespace iovad::dma
