// SPDX-License-Identifier: BSD-3-Clause
// The machine itself, by what is known of memory models: what two or three threads may see, and no more.
#include <gtest/gtest.h>

#include <atomic>

#include "core/asymmetric_fence.h"
#include "core/spin_lock.h"
#include "machine.h"

namespace iovad::model {
namespace {

constexpr auto relaxed = std::memory_order_relaxed, acquire = std::memory_order_acquire, release = std::memory_order_release;
constexpr Bounds kAll = {~0u, ~0u};

bool seen[2][2];  // what the loads of an execution found

class Litmus : public Scenario {
public:
	Litmus() { std::fill(&seen[0][0], &seen[2][0], false); }
	unsigned threads() const override { return 2; }
	void end() override { seen[found_[0]][found_[1]] = true; }

protected:
	std::atomic<int> x_ = 0, y_ = 0;
	int found_[4] = {};
};

void expect(const Result &result, std::initializer_list<const char *> outcomes)
{
	EXPECT_EQ("", result.failure) << result.steps;
	EXPECT_TRUE(result.all);
	bool wanted[2][2] = {};
	for (const char *o : outcomes)
		wanted[o[0] - '0'][o[1] - '0'] = true;
	for (unsigned a = 0; a < 2; ++a) {
		for (unsigned b = 0; b < 2; ++b)
			EXPECT_EQ(wanted[a][b], seen[a][b]) << a << b;
	}
}

enum class Fences { none, both, barrier };

// Both store, then load what the other stores.
class StoreBuffers : public Litmus {
public:
	explicit StoreBuffers(Fences fences) : fences_(fences) {}
	void run(unsigned thread) override
	{
		(thread == 0 ? x_ : y_).store(1, release);
		if (fences_ == Fences::both)
			core::asymmetric_fence::full();
		else if (fences_ == Fences::barrier && thread == 0)
			check(core::asymmetric_fence::heavy(core::asymmetric_fence::Reach::this_process), "no membarrier");
		else
			std::atomic_signal_fence(std::memory_order_seq_cst);
		found_[thread] = (thread == 0 ? y_ : x_).load(acquire);
	}

private:
	const Fences fences_;
};

TEST(Machine, StoresWaitInBuffersUnlessThereAreFences)
{
	expect(explore<StoreBuffers>(kAll, Fences::none), {"00", "01", "10", "11"});
	expect(explore<StoreBuffers>(kAll, Fences::both), {"01", "10", "11"});
	// One side's barrier makes the other pass one.
	expect(explore<StoreBuffers>(kAll, Fences::barrier), {"01", "10", "11"});
}

// Data, then a flag.
class Message : public Litmus {
public:
	Message(std::memory_order store, std::memory_order load, bool plain) : store_(store), load_(load), plain_(plain) {}
	void run(unsigned thread) override
	{
		if (thread == 0) {
			if (plain_)
				data_ = 1;
			else
				x_.store(1, relaxed);
			y_.store(1, store_);
			return;
		}
		found_[0] = y_.load(load_);
		if (found_[0] == 0)
			return;
		found_[1] = plain_ ? data_ : x_.load(relaxed);
	}

private:
	const std::memory_order store_, load_;
	const bool plain_;
	int data_ = 0;
};

TEST(Machine, DataIsSeenByReleaseAndAcquireOnly)
{
	expect(explore<Message>(kAll, release, acquire, false), {"00", "11"});
	expect(explore<Message>(kAll, relaxed, acquire, false), {"00", "10", "11"});
	expect(explore<Message>(kAll, release, relaxed, false), {"00", "10", "11"});
}

TEST(Machine, PlainDataRacesWithoutThem)
{
	expect(explore<Message>(kAll, release, acquire, true), {"00", "11"});
	EXPECT_EQ("a plain load races", explore<Message>(kAll, relaxed, acquire, true).failure);
	EXPECT_EQ("a plain load races", explore<Message>(kAll, release, relaxed, true).failure);
}

// One stores, one sees it and stores another, a third sees that.
class Passed : public Litmus {
public:
	explicit Passed(bool by_rmw) : by_rmw_(by_rmw) {}
	unsigned threads() const override { return 3; }
	void run(unsigned thread) override
	{
		if (thread == 0) {
			x_.store(1, relaxed);
			y_.store(1, release);
		} else if (thread == 1 && by_rmw_) {
			y_.fetch_add(1, relaxed);
		} else if (thread == 1) {
			y_.store(2, relaxed);
		} else {
			found_[0] = y_.load(acquire) == 2;
			found_[1] = x_.load(relaxed);
		}
	}

private:
	const bool by_rmw_;
};

// With an RMW a 2 is the first thread's 1, gone on; a store has nothing of it.
TEST(Machine, AnRmwGoesOnWithWhatItTook)
{
	expect(explore<Passed>(kAll, true), {"00", "01", "11"});
	expect(explore<Passed>(kAll, false), {"00", "01", "10", "11"});
}

class TwoReads : public Litmus {
public:
	void run(unsigned thread) override
	{
		if (thread == 0)
			x_.store(1, relaxed);
		else {
			found_[0] = x_.load(relaxed);
			found_[1] = x_.load(relaxed);
		}
	}
};

TEST(Machine, AWordNeverGoesBack) { expect(explore<TwoReads>(kAll), {"00", "01", "11"}); }

class Locked : public Scenario {
public:
	explicit Locked(bool broken)
	{
		if (broken)
			Machine::get().plant({Defect::Kind::unlocked, &lock_});
	}
	unsigned threads() const override { return 3; }
	void run(unsigned) override
	{
		const core::LockGuard guard(lock_);
		++count_;
	}
	void end() override { check(count_ == 3, "a count is lost"); }

private:
	core::SpinLock lock_;
	unsigned count_ = 0;
};

TEST(Machine, TheSpinLockExcludes)
{
	const Result good = explore<Locked>(Bounds{4, 2}, false);
	EXPECT_EQ("", good.failure) << good.steps;
	EXPECT_TRUE(good.all);
	EXPECT_NE("", explore<Locked>(Bounds{4, 2}, true).failure);
}

class Waiting : public Scenario {
public:
	explicit Waiting(bool forgotten) : forgotten_(forgotten) {}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override
	{
		if (thread == 1) {
			if (!forgotten_)
				flag_.store(1, release);
			return;
		}
		while (flag_.load(acquire) == 0)
			core::cpu_relax();
	}

private:
	const bool forgotten_;
	std::atomic<int> flag_ = 0;
};

TEST(Machine, WhoWaitsForAStoreWaitsNoLonger)
{
	EXPECT_EQ("", explore<Waiting>(kAll, false).failure);
	EXPECT_EQ("it does not end", explore<Waiting>(kAll, true).failure);
}

}  // namespace
}  // namespace iovad::model
