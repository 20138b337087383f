// SPDX-License-Identifier: BSD-3-Clause
// Owners that put, beside those who take; and all orders of work, by chance, against a count.
#include <atomic>
#include <thread>

#include "random.h"
#include "retire_queues_fixture.h"

namespace iovad::core {
namespace {

constexpr unsigned kEntries = RetireQueue::kEntries;

// What each owner put and nobody has done, and what it may still put, is at most the budget.
class Model {
public:
	explicit Model(uint64_t seed) : random_(seed), most_(1 + random_.below(6000)), owned_(kQueues, most_)
	{
		for (RetireQueue *&q : queue_)
			q = owned_.queues.claim();
		queue_[kQueues] = &owned_.queues.shared();
	}
	void run(unsigned steps)
	{
		for (unsigned i = 0; i < steps && !testing::Test::HasFailure(); ++i)
			step();
		for (unsigned q = 0; q <= kQueues; ++q)
			take(q, kEntries);
		while (!in_work_.empty())
			done();
		EXPECT_EQ(0u, owned_.queues.deferred().granules);
		EXPECT_EQ(0u, owned_.queues.deferred().entries);
		for (unsigned q = 0; q < kQueues; ++q)
			owned_.queues.release(*queue_[q]);
		// All of it is there again, but for what the shared one keeps.
		uint64_t left = 0;
		RetireQueue &q = *owned_.queues.claim();
		while (left < most_ && left < kEntries && owned_.put(q, 1))
			++left;
		EXPECT_LE(std::min<uint64_t>(most_, kEntries), left + shared_keeps_);
	}

private:
	static constexpr unsigned kQueues = 3;
	struct Taken {
		unsigned entries;
		uint64_t granules;
	};

	void step()
	{
		const auto q = static_cast<unsigned>(random_.below(kQueues + 1));
		switch (random_.below(8)) {
		default: put(q); break;
		case 5: take(q, static_cast<unsigned>(1 + random_.below(kEntries))); break;
		case 6: done(); break;
		case 7:
			if (random_.below(20) == 0)
				queue_[q]->close();
			else if (random_.below(20) == 0 && q != kQueues && waiting_[q].empty())
				release(q);
		}
		const RetireQueues::Deferred d = owned_.queues.deferred();
		ASSERT_EQ(deferred_, d.granules);
		ASSERT_LE(deferred_, most_);
	}
	void put(unsigned q)
	{
		const uint64_t kinds[] = {1, 1, 1 + random_.below(8), 1 + random_.below(4095)};
		for (uint64_t n = 1 + random_.below(200), granules = kinds[random_.below(4)]; n > 0; --n) {
			if (!owned_.put(*queue_[q], granules, granules)) {
				ASSERT_TRUE(deferred_ + granules + (kQueues + 1) * kEntries / 4 > most_ || waiting_[q].size() == kEntries);
				return;
			}
			waiting_[q].push_back(granules);
			deferred_ += granules;
			ASSERT_LE(waiting_[q].size(), kEntries);
		}
	}
	void take(unsigned q, unsigned most)
	{
		owned_.taken_granules = 0;
		const std::vector<Pfn> got = owned_.take(*queue_[q], most);
		ASSERT_EQ(std::min<size_t>(waiting_[q].size(), most), got.size());
		ASSERT_TRUE(std::equal(got.begin(), got.end(), waiting_[q].begin())) << "in order";
		waiting_[q].erase(waiting_[q].begin(), waiting_[q].begin() + static_cast<long>(got.size()));
		in_work_.push_back({static_cast<unsigned>(got.size()), owned_.taken_granules});
	}
	void done()
	{
		if (in_work_.empty())
			return;
		std::swap(in_work_[random_.below(in_work_.size())], in_work_.back());
		owned_.queues.done(in_work_.back().entries, in_work_.back().granules, 0, 0);
		deferred_ -= in_work_.back().granules;
		in_work_.pop_back();
	}
	void release(unsigned q)
	{
		owned_.queues.release(*queue_[q]);
		queue_[q] = owned_.queues.claim();
		ASSERT_NE(nullptr, queue_[q]);
	}

	Random random_;
	const uint64_t most_;
	OwnedQueues owned_;
	RetireQueue *queue_[kQueues + 1];
	std::vector<uint64_t> waiting_[kQueues + 1];
	std::vector<Taken> in_work_;
	uint64_t deferred_ = 0;
	static constexpr uint64_t shared_keeps_ = kEntries / 4;
};

TEST(RetireQueuesModel, TheBudgetAndTheRingsHoldInEveryOrder)
{
	for (uint64_t seed = 1; seed <= 60; ++seed) {
		SCOPED_TRACE(testing::Message() << "seed " << seed);
		Model(seed).run(1500);
		if (testing::Test::HasFailure())
			return;
	}
}

TEST(RetireQueueThreads, EveryEntryArrivesOnceAndInOrder)
{
	constexpr Pfn kAll = 200000;
	OwnedQueues owned(1, 3000);
	RetireQueue &q = *owned.queues.claim();
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> above = 0;
	std::thread producer([&] {
		for (Pfn i = 0; i < kAll; ++i) {
			while (!owned.put(q, i, 1 + i % 3))
				std::this_thread::yield();
		}
	});
	std::thread gauge([&] {
		for (; !stop; std::this_thread::yield()) {
			above += owned.queues.deferred().granules > 3000;
			above += owned.queues.oldest(now_ns()) > now_ns();
		}
	});
	std::thread closer([&] {
		for (; !stop; std::this_thread::yield())
			q.close();
	});
	uint64_t entries[64], since, wrong = 0;
	for (Pfn next = 0; next < kAll;) {
		const unsigned n = q.take(entries, static_cast<unsigned>(1 + next % 64), now_ns(), since);
		uint64_t granules = 0;
		for (unsigned i = 0; i < n; ++i, ++next) {
			const Retired r = Retired::of(entries[i]);
			wrong += r.first != next || r.granules != 1 + next % 3;
			granules += r.granules;
		}
		owned.queues.done(n, granules, since, now_ns());
		if (n == 0)
			std::this_thread::yield();
	}
	stop = true;
	producer.join();
	gauge.join();
	closer.join();
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(0u, above);
	EXPECT_EQ(0u, owned.queues.deferred().entries);
}

// Each entry by one of them; those of one taker are in order.
TEST(RetireQueueThreads, SeveralTakersShareAndOwnersComeAndGo)
{
	constexpr Pfn kAll = 60000;
	constexpr unsigned kTakers = 2, kOwners = 2;
	OwnedQueues owned(kOwners, 5000);
	std::vector<std::atomic<uint8_t>> arrived(kOwners * kAll);
	std::atomic<uint64_t> left = kOwners * kAll, disorder = 0;
	std::vector<std::thread> threads;
	for (unsigned me = 0; me < kOwners; ++me) {
		threads.emplace_back([&, me] {
			RetireQueue *q = owned.queues.claim();
			for (Pfn i = 0; i < kAll; ++i) {
				while (!owned.put(*q, me * kAll + i))
					std::this_thread::yield();
				if (i % 5000 != 0)
					continue;
				const uint64_t put = q->put();
				for (uint64_t entries[1], since; q->take(entries, 1, now_ns(), since) != 0; --left) {
					++arrived[Retired::of(entries[0]).first];
					owned.queues.done(1, 1, since, now_ns());
				}
				EXPECT_EQ(put, q->put());
				owned.queues.release(*q);
				q = owned.queues.claim();
			}
		});
	}
	for (unsigned t = 0; t < kTakers; ++t) {
		threads.emplace_back([&] {
			uint64_t entries[32], since;
			while (left != 0) {
				owned.queues.for_each([&](RetireQueue &q) {
					const unsigned n = q.take(entries, 32, now_ns(), since);
					for (unsigned i = 0; i < n; ++i) {
						++arrived[Retired::of(entries[i]).first];
						disorder += i > 0 && entries[i] < entries[i - 1] && entries[i] / (kAll << 12) == entries[i - 1] / (kAll << 12);
					}
					owned.queues.done(n, n, since, now_ns());
					left -= n;
				});
				std::this_thread::yield();
			}
		});
	}
	for (std::thread &t : threads)
		t.join();
	EXPECT_EQ(0u, disorder);
	for (const auto &n : arrived)
		ASSERT_EQ(1, n);
}

// Wherever it is on its way from the queue to who works on it.
TEST(RetireQueuesThreads, TheOldestIsSeenWhileItIsTaken)
{
	constexpr unsigned kRounds = 20'000, kQueues = 64;
	OwnedQueues owned(kQueues, 100);
	for (unsigned i = 1; i < kQueues; ++i)
		owned.queues.claim();
	RetireQueue &q = *owned.queues.claim();  // the last to be looked at
	std::atomic<unsigned> put = 0, asking = 0, asked = 0;
	const auto wait_for = [](const std::atomic<unsigned> &count, unsigned n) {
		while (count < n)
			std::this_thread::yield();
	};
	std::thread taker([&] {
		for (unsigned round = 1; round <= kRounds; ++round) {
			EXPECT_TRUE(owned.put(q, round));
			put = round;
			wait_for(asking, round);
			owned.queues.set_in_work_since(1);
			owned.take(q);
			wait_for(asked, round);
			owned.queues.done(1, 1, 1, 2);
			owned.queues.set_in_work_since(UINT64_MAX);
		}
	});
	unsigned missed = 0;
	for (unsigned round = 1; round <= kRounds; ++round) {
		wait_for(put, round);
		asking = round;
		missed += owned.queues.oldest(UINT64_MAX) == UINT64_MAX;
		asked = round;
	}
	taker.join();
	EXPECT_EQ(0u, missed);
}

}  // namespace
}  // namespace iovad::core
