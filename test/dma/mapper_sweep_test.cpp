// SPDX-License-Identifier: BSD-3-Clause
// One scenario, with each call of the backend and each request for tables failing in turn.
#include <cerrno>

#include "mapper_fixture.h"

namespace iovad::dma {
namespace {

using core::MappingTable;
using Counters = MappingTable::Counters;

// What the script has mapped. After every step all of it must be as it should.
class Script {
public:
	explicit Script(bool cached) : rig({.cached = cached}) {}

	// True: the failure came. n from 1 on.
	bool run(const std::function<void(Rig &)> &break_something)
	{
		break_something(rig);
		steps();
		rig.faulty.heal();
		rig.starve(0);
		rig.tuned->valid.clear();
		while (!claims_.empty())
			unmap(claims_.begin()->first);
		for (const auto &[va, region] : std::map(regions_))
			remove_region(va);
		rig.mapper.make_room(0);
		rig.expect_empty();
		return failures != 0;
	}
	unsigned failures = 0;

private:
	struct Claim {
		uint64_t va, len;
		uint32_t dir;
	};

	// A bit of everything: sharing, shadowing, parts, padding, regions, scattered memory.
	void steps()
	{
		map(kMemory + 5, 100);
		map(kMemory + 200, 100);
		map(kMemory, 4 * k4K);
		map(kMemory + k4K, k4K, kToDevice);
		map(kMemory + k2M + k4K, 3 * k2M, kFromDevice);
		add_region(kMemory + k1G, 2 * k1G);
		map(kMemory + k1G + 5, k4K);
		remove_region(kMemory + k1G);
		refresh();
		for (uint64_t i = 1; i <= 24; ++i)
			map(kMemory + i * 600 * k1G, k4K, kBidirectional, i % 2 ? kLimit32 : kNoLimit);
		unmap_nth(0);
		unmap_nth(1);
		map(kMemory, 4 * k4K, kBidirectional, kLimit32);
		add_region(kMemory - k4K, 8 * k4K);
		unmap_nth(2);
		unmap_nth(0);
		while (claims_.size() > 8)
			unmap_nth(3);
		rig.mapper.make_room(0);
		map(kMemory + 6 * k4K, 20 * k4K);
		remove_region(kMemory - k4K);
	}

	// A step that fails leaves no trace.
	template <class Do> bool step(Do work)
	{
		const Snapshot before = rig.snapshot();
		const bool ok = work() == Status::ok;
		if (!ok) {
			++failures;
			EXPECT_EQ(before, rig.snapshot());
		}
		check();
		return ok;
	}
	void map(uint64_t va, uint64_t len, uint32_t dir = kBidirectional, uint64_t limit = kNoLimit)
	{
		uint64_t iova = 0;
		if (step([&] { return rig.map(va, len, iova, dir, limit); }))
			claims_.emplace(iova, Claim{va, len, dir});
	}
	void unmap_nth(unsigned n)
	{
		if (n < claims_.size())
			unmap(std::next(claims_.begin(), n)->first);
	}
	// One that fails has taken the mapping from its owner.
	void unmap(uint64_t iova)
	{
		const auto claim = claims_.find(iova);
		const uint64_t quarantined = rig.counted(&Counters::quarantined_bytes);
		const Status status = rig.unmap(iova, claim->second.len);
		claims_.erase(claim);
		failed_to_unmap(status, quarantined);
	}
	void failed_to_unmap(Status status, uint64_t quarantined)
	{
		EXPECT_TRUE(status == Status::ok || status == Status::failed);
		if (status == Status::failed) {
			++failures;
			EXPECT_GT(rig.counted(&Counters::quarantined_bytes), quarantined);
		}
		check();
	}
	void add_region(uint64_t va, uint64_t len)
	{
		uint64_t iova = 0;
		if (step([&] { return rig.add_region(va, len, iova); }))
			regions_.emplace(va, std::pair(iova, len));
	}
	void remove_region(uint64_t va)
	{
		const auto region = regions_.find(va);
		if (region == regions_.end())
			return;
		const uint64_t quarantined = rig.counted(&Counters::quarantined_bytes);
		const Snapshot before = rig.snapshot();
		const Status status = rig.remove_region(va, region->second.second);
		if (status == Status::busy) {
			EXPECT_EQ(before, rig.snapshot());
			return;
		}
		regions_.erase(region);
		failed_to_unmap(status, quarantined);
	}
	void refresh()
	{
		step([&] { return rig.mapper.refresh().status; });
	}
	void check()
	{
		ASSERT_TRUE(rig.verify());
		for (const auto &[iova, c] : claims_) {
			ASSERT_TRUE(rig.reaches(iova, c.va, c.len, c.dir));
			ASSERT_EQ(c.va, rig.iova2va(iova, c.len));
			// By virtual address one of several.
			const uint64_t found = rig.va2iova(c.va);
			ASSERT_NE(0u, found);
			ASSERT_EQ(c.va, rig.iova2va(found));
		}
		for (const auto &[va, region] : regions_) {
			ASSERT_TRUE(rig.reaches(region.first, va, region.second, 3));
			ASSERT_EQ(va, rig.iova2va(region.first, region.second));
		}
	}

	Rig rig;
	std::multimap<uint64_t, Claim> claims_;
	std::map<uint64_t, std::pair<uint64_t, uint64_t>> regions_;
};

// Breaks the nth call, for every n until there is none such.
void sweep(const std::function<void(Rig &, uint64_t n)> &break_nth)
{
	for (const bool cached : {false, true}) {
		uint64_t n = 0;
		bool failed;
		do {
			SCOPED_TRACE(testing::Message() << "n = " << ++n);
			Script script(cached);
			failed = script.run([&](Rig &rig) { break_nth(rig, n); });
			if (testing::Test::HasFailure())
				return;
			ASSERT_LT(n, 1000u);
		} while (failed);
		EXPECT_GT(n, 2u) << "nothing was broken at all";
	}
}

TEST(MapperSweep, NothingBroken)
{
	Script script(false);
	EXPECT_FALSE(script.run([](Rig &) {}));
}

TEST(MapperSweep, EveryMap)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::map, n, kBroken); });
}

TEST(MapperSweep, EveryUnmap)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::unmap, n, kBroken); });
}

TEST(MapperSweep, EveryUnmapAndTheNextTwo)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::unmap, n, kBroken, 3); });
}

TEST(MapperSweep, EveryMapForLackOfMemory)
{
	sweep([](Rig &rig, uint64_t n) {
		rig.faulty.fail(Call::map, n, {Status::no_memory, ENOMEM, "none"});
		rig.faulty.fail(Call::unmap, n / 2 + 1, kBroken);
	});
}

TEST(MapperSweep, EveryInfo)
{
	for (const bool cached : {false, true}) {
		Script script(cached);
		EXPECT_TRUE(script.run([](Rig &rig) { rig.faulty.fail(Call::info, 1, kBroken); }));
	}
}

TEST(MapperSweep, EveryCallOfAnyKind)
{
	sweep([](Rig &rig, uint64_t n) { rig.faulty.fail(Call::any, n, kBroken); });
}

TEST(MapperSweep, EveryRequestForTables)
{
	sweep([](Rig &rig, uint64_t n) { rig.starve(n); });
}

// ---- random work with random failures ----

}  // namespace
}  // namespace iovad::dma
