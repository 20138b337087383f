// SPDX-License-Identifier: BSD-3-Clause
// Giving back parts of reserved ranges where nodes are missing: whoever asks sees them
// free, and none is lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/address_space.h"
#include "tree_fixture.h"

namespace iovad::core {
namespace {

constexpr Pfn kNoLimit = ~Pfn{0};

class DeferredFreesTest : public testing::Test {
protected:
	static constexpr Pfn kEnd = 4001;

	void SetUp() override { make(3); }
	void TearDown() override { expect_sound(); }

	void make(uint32_t nodes) { space_.init(memory(nodes), nodes, 1, kEnd); }
	// All of one block: what is added must not be far away, as it may be from malloc().
	void *memory(uint32_t nodes)
	{
		std::byte *first = static_cast<std::byte *>(block_.get()) + used_ * kNodeBytes;
		used_ += nodes;
		EXPECT_LE(used_, kBlock);
		return first;
	}
	bool add(uint32_t nodes) { return space_.add_nodes(memory(nodes), size_t{nodes} * kNodeBytes); }
	void expect_sound()
	{
		const AddressSpace::Guard guard(space_);
		EXPECT_TRUE(space_.verify_locked(stderr));
	}
	void reserve_and_starve(Pfn start, Pfn end)
	{
		ASSERT_EQ(space_.reserve(start, end), Status::ok);
		starve();
	}
	// Live ranges in every other granule, until there are no nodes.
	void starve()
	{
		Pfn start;
		Status status = Status::ok;
		while (space_.alloc_run(1, 2, kNoLimit, kLive, &start, 1, status) == 1)
			live_.push_back(start);
		ASSERT_EQ(status, Status::again);
	}
	uint64_t deferred() { return space_.totals().deferred_frees; }

	AddressSpace space_;
	std::vector<Pfn> live_;

private:
	static constexpr size_t kBlock = 4096;  // nodes

	std::unique_ptr<void, FreeDeleter> block_{std::aligned_alloc(kNodeBytes, kBlock * kNodeBytes)};
	size_t used_ = 0;
};

TEST_F(DeferredFreesTest, APartCountsAsFreeAtOnce)
{
	reserve_and_starve(100, 200);
	const uint64_t free = space_.totals().free_granules;
	ASSERT_EQ(space_.unreserve(120, 130), Status::ok);
	EXPECT_EQ(deferred(), 1u);
	EXPECT_EQ(space_.find(120), (Extent{120, 130, 0}));
	EXPECT_EQ(space_.find(119), (Extent{100, 120, kReserved}));
	EXPECT_EQ(space_.find(150), (Extent{130, 200, kReserved}));
	EXPECT_EQ(space_.totals().reserved_granules, 90u);
	EXPECT_EQ(space_.totals().free_granules, free + 10);
	EXPECT_EQ(space_.unreserve(120, 130), Status::not_found) << "a second time";
	EXPECT_EQ(space_.unreserve(110, 121), Status::not_found) << "a granule of it a second time";
}

TEST_F(DeferredFreesTest, NodesThatAreAddedSettleIt)
{
	reserve_and_starve(100, 200);
	ASSERT_EQ(space_.unreserve(120, 130), Status::ok);
	ASSERT_EQ(space_.unreserve(140, 150), Status::ok);
	EXPECT_GT(space_.nodes_wanted(), 0u);
	ASSERT_TRUE(add(64));
	EXPECT_EQ(deferred(), 0u);
	EXPECT_EQ(space_.nodes_wanted(), 0u);
	EXPECT_EQ(space_.totals().grows, 1u);
	EXPECT_EQ(space_.find(145), (Extent{140, 150, 0}));
	EXPECT_EQ(space_.totals().reserved_granules, 80u);
}

TEST_F(DeferredFreesTest, FreesThatGiveBackNodesSettleIt)
{
	make(5);
	ASSERT_EQ(space_.reserve(100, 200), Status::ok);
	starve();
	ASSERT_EQ(space_.unreserve(120, 130), Status::ok);
	ASSERT_EQ(deferred(), 1u);
	for (const Pfn start : live_)
		ASSERT_EQ(space_.free(start, 1, kLive), Status::ok);
	EXPECT_EQ(deferred(), 0u);
	EXPECT_EQ(space_.find(125), (Extent{120, 130, 0}));
}

TEST_F(DeferredFreesTest, PartsThatTouchAreOneAndTheLastOneNeedsNoNode)
{
	reserve_and_starve(100, 200);
	ASSERT_EQ(space_.unreserve(120, 130), Status::ok);
	ASSERT_EQ(space_.unreserve(140, 150), Status::ok);
	EXPECT_EQ(deferred(), 2u);
	ASSERT_EQ(space_.unreserve(130, 140), Status::ok);
	EXPECT_EQ(deferred(), 1u);
	ASSERT_EQ(space_.unreserve(100, 120), Status::ok);
	EXPECT_EQ(deferred(), 1u);
	ASSERT_EQ(space_.unreserve(150, 200), Status::ok);
	EXPECT_EQ(deferred(), 0u);
	EXPECT_EQ(space_.find(150).value, 0);
	EXPECT_EQ(space_.totals().reserved_granules, 0u);
}

TEST_F(DeferredFreesTest, ReservingTakesBackWhatIsDeferred)
{
	reserve_and_starve(100, 200);
	ASSERT_EQ(space_.unreserve(120, 150), Status::ok);
	ASSERT_EQ(space_.reserve(130, 140), Status::ok) << "the middle of it";
	EXPECT_EQ(deferred(), 2u);
	EXPECT_EQ(space_.find(135), (Extent{130, 140, kReserved}));
	ASSERT_EQ(space_.reserve(115, 125), Status::ok) << "its front";
	EXPECT_EQ(space_.find(122), (Extent{100, 125, kReserved}));
	ASSERT_EQ(space_.reserve(100, 200), Status::ok) << "all";
	EXPECT_EQ(deferred(), 0u);
	EXPECT_EQ(space_.totals().reserved_granules, 100u);
	EXPECT_EQ(space_.find(122), (Extent{100, 200, kReserved}));
}

TEST_F(DeferredFreesTest, AFullListRefusesAndChangesNothing)
{
	reserve_and_starve(100, 1000);
	Pfn pfn = 110;
	for (unsigned i = 0; i < SpanList::kMost; ++i, pfn += 10)
		ASSERT_EQ(space_.unreserve(pfn, pfn + 5), Status::ok);
	EXPECT_EQ(space_.unreserve(pfn, pfn + 5), Status::again);
	EXPECT_EQ(space_.find(pfn).value, kReserved);
	EXPECT_EQ(space_.reserve(112, 113), Status::again) << "one would become two";
	EXPECT_EQ(space_.find(112).value, 0);
	EXPECT_EQ(space_.unreserve(115, 117), Status::ok) << "it joins another";
	EXPECT_EQ(space_.reserve(110, 112), Status::ok) << "one stays one";
	EXPECT_EQ(deferred(), SpanList::kMost);
	ASSERT_TRUE(add(64));
	EXPECT_EQ(deferred(), 0u);
	EXPECT_EQ(space_.totals().reserved_granules, 900u - SpanList::kMost * 5);
	EXPECT_EQ(space_.unreserve(pfn, pfn + 5), Status::ok);
}

TEST_F(DeferredFreesTest, AWholeRangeIsGivenBackThoughTheListIsFull)
{
	ASSERT_EQ(space_.reserve(20, 30), Status::ok);
	ASSERT_EQ(space_.reserve(100, 1000), Status::ok);
	starve();
	for (Pfn pfn = 110; deferred() < SpanList::kMost; pfn += 10)
		ASSERT_EQ(space_.unreserve(pfn, pfn + 5), Status::ok);
	EXPECT_EQ(space_.unreserve(20, 30), Status::ok);
	EXPECT_EQ(space_.find(20).value, 0);
}

TEST_F(DeferredFreesTest, SpaceThatIsDeferredIsNotCalledMissing)
{
	reserve_and_starve(100, 200);
	Pfn start;
	Status status;
	ASSERT_EQ(space_.alloc_run(kEnd, 1, kNoLimit, kLive, &start, 1, status), 0u);
	EXPECT_EQ(status, Status::no_space);
	ASSERT_EQ(space_.unreserve(120, 130), Status::ok);
	ASSERT_EQ(space_.alloc_run(kEnd, 1, kNoLimit, kLive, &start, 1, status), 0u);
	EXPECT_EQ(status, Status::again);
}

// Random calls beside a list of what each granule is, with few nodes and then more of them.
class Model {
public:
	Model(AddressSpace &space, uint64_t seed) : space_(space), random_(seed), value_(kEnd, 0) {}

	void step()
	{
		const Pfn start = 1 + random_.below(kEnd - 2);
		const Pfn end = start + 1 + random_.below(std::min<Pfn>(random_.below(4) ? 8 : 200, kEnd - start));
		switch (random_.below(8)) {
		case 0:
		case 1: reserve(start, end); break;
		case 2:
		case 3:
		case 4: unreserve(start, end); break;
		case 5:
		case 6: alloc(1 + random_.below(4)); break;
		default: free(); break;
		}
	}
	void compare()
	{
		uint64_t reserved = 0;
		for (Pfn pfn = 1; pfn < kEnd;) {
			const Extent e = space_.find(pfn);
			ASSERT_LE(e.start, pfn);
			ASSERT_TRUE(e.value != kReserved || (value_[e.start - 1] != kReserved && reserved_ends(e.end)));
			for (; pfn < e.end; ++pfn) {
				ASSERT_EQ(value_[pfn], e.value) << "at " << pfn;
				reserved += e.value == kReserved;
			}
		}
		ASSERT_EQ(space_.totals().reserved_granules, reserved);
		const AddressSpace::Guard guard(space_);
		ASSERT_TRUE(space_.verify_locked(stderr));
	}
	void finish()
	{
		while (!live_.empty())
			free();
		for (Pfn pfn = 1; pfn < kEnd; ++pfn) {
			if (value_[pfn] == kReserved)
				unreserve(pfn, pfn + 1);
		}
	}
	unsigned refused = 0;

	static constexpr Pfn kEnd = 1200;

private:
	bool reserved_ends(Pfn pfn) const { return pfn == kEnd || value_[pfn] != kReserved; }
	bool all(Pfn start, Pfn end, Value value) const
	{
		return std::all_of(&value_[start], &value_[end - 1] + 1, [=](Value v) { return v == value; });
	}
	void set(Pfn start, Pfn end, Value value) { std::fill(&value_[start], &value_[end - 1] + 1, value); }

	void reserve(Pfn start, Pfn end)
	{
		const bool live = std::find(&value_[start], &value_[end - 1] + 1, kLive) != &value_[end - 1] + 1;
		const Status status = space_.reserve(start, end);
		if (live) {
			ASSERT_EQ(status, Status::exists);
		} else if (status == Status::again) {
			++refused;
		} else {
			ASSERT_EQ(status, Status::ok);
			set(start, end, kReserved);
		}
	}
	void unreserve(Pfn start, Pfn end)
	{
		const bool reserved = all(start, end, kReserved);
		const Status status = space_.unreserve(start, end);
		if (!reserved) {
			ASSERT_EQ(status, Status::not_found);
		} else if (status == Status::again) {
			++refused;
			ASSERT_EQ(space_.totals().deferred_frees, SpanList::kMost);
		} else {
			ASSERT_EQ(status, Status::ok);
			set(start, end, 0);
		}
	}
	void alloc(uint64_t size)
	{
		Pfn start;
		Status status;
		if (space_.alloc_run(size, 1, random_.below(kEnd), kLive, &start, 1, status) == 1) {
			ASSERT_TRUE(all(start, start + size, 0));
			set(start, start + size, kLive);
			live_.push_back({start, start + size});
		} else if (status == Status::no_space) {
			ASSERT_EQ(space_.totals().deferred_frees, 0u);
		}
	}
	void free()
	{
		if (live_.empty())
			return;
		std::swap(live_[random_.below(live_.size())], live_.back());
		const Span s = live_.back();
		live_.pop_back();
		ASSERT_EQ(space_.free(s.start, s.end - s.start, kLive), Status::ok);
		set(s.start, s.end, 0);
	}

	AddressSpace &space_;
	Random random_;
	std::vector<Value> value_;
	std::vector<Span> live_;
};

TEST_F(DeferredFreesTest, AgreesWithASetWhateverComesBeforeTheNodes)
{
	uint64_t most = 0;
	for (uint64_t seed = 0; seed < 16; ++seed) {
		SCOPED_TRACE(seed);
		const uint32_t nodes = 1 + static_cast<uint32_t>(seed % 12);
		space_.init(memory(nodes), nodes, 1, Model::kEnd);
		Model model(space_, seed);
		for (unsigned i = 0; i < 600 && !HasFatalFailure(); ++i) {
			model.step();
			model.compare();
			most = std::max(most, deferred());
			if (i == 400) {
				ASSERT_TRUE(add(12));
				model.compare();
			}
		}
		ASSERT_FALSE(HasFatalFailure());
		ASSERT_TRUE(add(100));
		EXPECT_EQ(deferred(), 0u);
		model.compare();
		model.finish();
		model.compare();
		EXPECT_EQ(space_.totals().reserved_granules, 0u);
		EXPECT_EQ(space_.totals().nodes, 1u);
	}
	EXPECT_GT(most, SpanList::kMost / 2) << "many waited at once";
}

}  // namespace
}  // namespace iovad::core
