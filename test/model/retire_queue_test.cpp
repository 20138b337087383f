// SPDX-License-Identifier: BSD-3-Clause
// A retire queue: its owner, who takes from it, and who asks what is deferred. No entry is lost, taken twice or seen
// half written; and each order is needed: without it a failure is found.
#include "core/retire_queue.h"
#include "explored.h"

namespace iovad::model {
namespace {

using core::Retired;
using core::RetireQueue;
using core::RetireQueues;
using Kind = Defect::Kind;

constexpr unsigned kShift = 12;

class QueueScenario : public Scenario {
public:
	static constexpr unsigned kPuts = 3;

	// waiting: entries that are in the queue already; the ring's end is one further.
	explicit QueueScenario(unsigned waiting)
		: queues_(*RetireQueues::format(Machine::get().allocate(RetireQueues::bytes(1), 64), 1, kMost)), queue_(*queues_.claim())
	{
		for (unsigned i = 0; i + 1 < RetireQueue::kEntries; ++i) {
			const bool put = try_put(kOld + i);
			uint64_t since;
			if (put && i + 1 + waiting < RetireQueue::kEntries) {
				uint64_t entry;
				queue_.take(&entry, 1, 0, since);
				queues_.done(1, 1, since, 0);
			}
		}
	}
	void end() override
	{
		while (take(kAtOnce) != 0) {
		}
		for (unsigned i = 0; i < kPuts; ++i)
			check(used_[i] == 2, "an entry is lost");
		const RetireQueues::Deferred left = queues_.deferred();
		check(left.entries == 0 && left.granules == 0, "the sums do not come to nothing");
	}

protected:
	// The owner: its last use of the memory, then the entry.
	bool put(unsigned i)
	{
		used_[i] = 1;
		return try_put(i);
	}
	bool try_put(uint64_t first)
	{
		const auto hot = [&] { return queue_.put(kShift, first << kShift, 1 << kShift); };
		return hot() || (queues_.extend(queue_, 1) && hot());
	}
	// Each once, in order.
	unsigned take(unsigned most)
	{
		uint64_t entries[kAtOnce], since;
		const unsigned n = queue_.take(entries, most, 0, since);
		for (unsigned i = 0; i < n; ++i) {
			const Retired what = Retired::of(entries[i]);
			if (what.first >= kOld)
				continue;
			check(what.first < kPuts && what.granules == 1, "an entry is torn");
			check(used_[what.first] == 1, "an entry is taken twice");
			used_[what.first] = 2;
		}
		queues_.done(n, n, since, 0);
		return n;
	}

	static constexpr unsigned kAtOnce = 1024;
	static constexpr uint64_t kMost = 2 * RetireQueue::kEntries, kOld = 100;
	RetireQueues &queues_;
	RetireQueue &queue_;
	unsigned used_[kPuts] = {};
};

// Beside two who take, or one who takes and one who asks.
class Passing : public QueueScenario {
public:
	enum class Beside { taker, asker };
	enum class Without { nothing, release_of_put, acquire_of_put, lock, release_of_lock, acquire_of_lock, order_of_counts, release_of_done, acquire_of_done };

	Passing(Beside beside, Without without) : QueueScenario(0), beside_(beside) { remove(without); }
	unsigned threads() const override { return 3; }
	void run(unsigned thread) override
	{
		if (thread == 0) {
			for (unsigned i = 0; i < kPuts; ++i)
				check(put(i), "there is room");
		} else if (thread == 1 || beside_ == Beside::taker) {
			take(2);
			take(2);
		} else {
			const RetireQueues::Deferred now = queues_.deferred();
			check(now.entries <= kPuts && now.granules <= kPuts, "more is deferred than was put");
		}
	}

private:
	void remove(Without without)
	{
		Machine &machine = Machine::get();
		const iovad_hot_retire_queue &hot = *queue_.hot();
		switch (without) {
		case Without::nothing: return;
		case Without::release_of_put: return machine.plant({Kind::relaxed_stores, &hot.put});
		case Without::acquire_of_put: return machine.plant({Kind::relaxed_loads, &hot.put});
		case Without::lock: return machine.plant({Kind::unlocked, &queue_.lock_});
		case Without::release_of_lock: return machine.plant({Kind::relaxed_stores, &queue_.lock_});
		case Without::acquire_of_lock: return machine.plant({Kind::relaxed_loads, &queue_.lock_});
		case Without::order_of_counts: return machine.plant({Kind::swapped, &hot.granules, &hot.put});
		case Without::release_of_done:
			machine.plant({Kind::relaxed_stores, &queues_.done_entries_});
			return machine.plant({Kind::relaxed_stores, &queues_.done_granules_});
		case Without::acquire_of_done:
			machine.plant({Kind::relaxed_loads, &queues_.done_entries_});
			return machine.plant({Kind::relaxed_loads, &queues_.done_granules_});
		}
	}

	const Beside beside_;
};

TEST(RetireQueue, EachEntryIsTakenOnceWithWhatWasDoneBefore)
{
	using Without = Passing::Without;
	constexpr Bounds bounds = {2, 1};
	expect_none_fails<Passing>(bounds, Passing::Beside::taker, Without::nothing);
	expect_found<Passing>(bounds, Passing::Beside::taker, Without::release_of_put);
	expect_found<Passing>(bounds, Passing::Beside::taker, Without::acquire_of_put);
	expect_found<Passing>(bounds, Passing::Beside::taker, Without::lock);
	expect_found<Passing>(bounds, Passing::Beside::taker, Without::release_of_lock);
	expect_found<Passing>(bounds, Passing::Beside::taker, Without::acquire_of_lock);
}

TEST(RetireQueue, NoMoreIsDeferredThanWasPut)
{
	using Without = Passing::Without;
	constexpr Bounds bounds = {2, 2};
	expect_none_fails<Passing>(bounds, Passing::Beside::asker, Without::nothing);
	expect_found<Passing>(bounds, Passing::Beside::asker, Without::order_of_counts);
	expect_found<Passing>(bounds, Passing::Beside::asker, Without::release_of_done);
	expect_found<Passing>(bounds, Passing::Beside::asker, Without::acquire_of_done);
}

// The ring has one place left, and goes round. Who finds none takes itself, as owners do that help.
class Full : public QueueScenario {
public:
	enum class Without { nothing, limit, lock_of_extend };

	explicit Full(Without without) : QueueScenario(RetireQueue::kEntries - 1)
	{
		Machine &machine = Machine::get();
		if (without == Without::limit)
			machine.plant({Kind::blind, &queue_.hot()->limit, nullptr, ~uint64_t{0}, 0});
		else if (without == Without::lock_of_extend)
			machine.plant({Kind::unlocked, &queue_.lock_});
	}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override
	{
		if (thread == 1) {
			take(1);
			take(1);
			return;
		}
		for (unsigned i = 0; i < kPuts; ++i) {
			while (!put(i))
				take(1);
		}
	}
};

TEST(RetireQueue, APlaceInTheRingIsUsedAgainOnceItIsRead)
{
	constexpr Bounds bounds = {2, 1};
	expect_none_fails<Full>(bounds, Full::Without::nothing);
	expect_found<Full>(bounds, Full::Without::limit);
	expect_found<Full>(bounds, Full::Without::lock_of_extend);
}

// Owners of two queues, whose entries are more than may be deferred together.
class Budget : public Scenario {
public:
	enum class Without { nothing, rmw };

	explicit Budget(Without without)
		: queues_(*RetireQueues::format(Machine::get().allocate(RetireQueues::bytes(2), 64), 2, kMost)),
		  queue_{queues_.claim(), queues_.claim()}
	{
		if (without == Without::rmw)
			Machine::get().plant({Kind::split, &queues_.left_});
	}
	unsigned threads() const override { return 3; }
	void run(unsigned thread) override
	{
		if (thread == 2) {
			take(0);
			take(1);
			return;
		}
		for (unsigned i = 0; i < 2; ++i)
			put_[thread] += queues_.extend(*queue_[thread], 1) && queue_[thread]->put(kShift, i << kShift, 1 << kShift);
	}
	void end() override
	{
		take(0);
		take(1);
		uint64_t unused = 0;
		for (const RetireQueue *q : queue_)
			unused += q->granted_ - q->granules();
		check(queues_.left_ + unused == kMost, "the budget is more, or less, than it was");
		check(taken_ == put_[0] + put_[1], "an entry is lost");
		check(taken_ >= kMost, "refused though there was budget");
	}

private:
	static constexpr uint64_t kMost = 2;

	void take(unsigned of)
	{
		uint64_t entries[4], since;
		const unsigned n = queue_[of]->take(entries, 4, 0, since);
		queues_.done(n, n, since, 0);
		taken_ += n;
	}

	RetireQueues &queues_;
	RetireQueue *queue_[2];
	unsigned put_[2] = {}, taken_ = 0;
};

TEST(RetireQueue, TheBudgetIsKept)
{
	constexpr Bounds bounds = {2, 1};
	expect_none_fails<Budget>(bounds, Budget::Without::nothing);
	expect_found<Budget>(bounds, Budget::Without::rmw);
}

}  // namespace
}  // namespace iovad::model
