// SPDX-License-Identifier: BSD-3-Clause
// Giving back what comes back late: in the order in which it came, counted as free, and at once where that is asked for.
#include <gtest/gtest.h>

#include <vector>

#include "core/address_space.h"
#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr Pfn kNoLimit = ~Pfn{0};

class HeldBack : public testing::Test {
protected:
	static constexpr Pfn kEnd = 101;
	static constexpr uint32_t kRanges = 4, kNodes = 64;

	HeldBack()
	{
		space_.init(memory_.get(), kNodes, 1, kEnd);
		space_.hold_back(places_, kRanges);
	}
	~HeldBack() override
	{
		LockGuard guard(space_.lock());
		EXPECT_TRUE(space_.verify_locked(stderr));
	}

	Pfn take(uint64_t size = 1)
	{
		Pfn start = 0;
		Status status;
		EXPECT_EQ(1u, space_.alloc_run(size, 1, kNoLimit, kLive, &start, 1, status));
		return start;
	}
	void give_back(Pfn start, uint64_t size = 1) { EXPECT_EQ(Status::ok, space_.free(start, size, kLive)); }
	uint64_t free_granules() { return space_.totals().free_granules; }

	AddressSpace space_;
	Span places_[kRanges];

private:
	std::unique_ptr<void, FreeDeleter> memory_{std::aligned_alloc(kNodeBytes, kNodes * kNodeBytes)};
};

TEST_F(HeldBack, ComesBackInTheOrderInWhichItCame)
{
	const Pfn first = take();
	give_back(first);
	for (unsigned i = 1; i < kRanges; ++i) {
		const Pfn other = take();
		EXPECT_NE(first, other);
		give_back(other);
	}
	const Pfn last = take();  // the first is still held back
	EXPECT_NE(first, last);
	give_back(last);
	EXPECT_EQ(first, take());
	give_back(first);
}

TEST_F(HeldBack, IsFreeForWhoCounts)
{
	const Pfn start = take(3);
	EXPECT_EQ(1u, space_.totals().live_ranges);
	EXPECT_EQ(97u, free_granules());
	give_back(start, 3);
	const AddressSpace::Totals t = space_.totals();
	EXPECT_EQ(0u, t.live_ranges);
	EXPECT_EQ(0u, t.live_granules);
	EXPECT_EQ(100u, t.free_granules);
	EXPECT_TRUE(is_free(space_.find(start).value));
	EXPECT_EQ(0, space_.next_live(1).value);
}

TEST_F(HeldBack, IsNotLiveAnyMore)
{
	const Pfn start = take(3);
	give_back(start, 3);
	EXPECT_EQ(Status::not_found, space_.free(start, 3, kLive));
	EXPECT_EQ(Status::not_found, space_.free(start, 3, kBlock));
	EXPECT_EQ(2u, space_.totals().bad_frees);
}

TEST_F(HeldBack, IsReleasedWhereThatIsAskedFor)
{
	EXPECT_FALSE(space_.release_held_back());
	const Pfn all = take(100);
	give_back(all, 100);
	Pfn start;
	Status status;
	EXPECT_EQ(0u, space_.alloc_run(1, 1, kNoLimit, kLive, &start, 1, status));
	EXPECT_EQ(Status::no_space, status);
	EXPECT_TRUE(space_.release_held_back());
	EXPECT_EQ(all, take(100));
	give_back(all, 100);
}

TEST_F(HeldBack, IsReservedWhereThatIsAskedFor)
{
	const Pfn start = take(10);
	give_back(start, 10);
	EXPECT_EQ(Status::ok, space_.reserve(start + 2, start + 4));
	EXPECT_EQ(kReserved, space_.find(start + 3).value);
	EXPECT_EQ(98u, free_granules());
	EXPECT_EQ(Status::ok, space_.unreserve(start + 2, start + 4));
	EXPECT_EQ(100u, free_granules());
	// What lies elsewhere stays.
	const Pfn other = take();
	give_back(other);
	EXPECT_EQ(Status::ok, space_.reserve(1, 5));
	EXPECT_NE(other, take());
}

TEST_F(HeldBack, AtRandomNothingIsLost)
{
	std::vector<std::pair<Pfn, uint64_t>> live;
	uint64_t granules = 0;
	unsigned seed = 1;
	for (unsigned i = 0; i < 20000; ++i) {
		const unsigned dice = static_cast<unsigned>(rand_r(&seed));
		const uint64_t size = 1 + dice % 7;
		Pfn start;
		Status status;
		if (dice >> 8 & 1 && space_.alloc_run(size, 1, kNoLimit, kLive, &start, 1, status) == 1) {
			live.emplace_back(start, size);
			granules += size;
		} else if (!live.empty()) {
			std::swap(live[dice % live.size()], live.back());
			give_back(live.back().first, live.back().second);
			granules -= live.back().second;
			live.pop_back();
		}
		ASSERT_EQ(100 - granules, free_granules());
	}
	LockGuard guard(space_.lock());
	EXPECT_TRUE(space_.verify_locked(stderr));
}

}  // namespace
}  // namespace iovad::core
