// SPDX-License-Identifier: BSD-3-Clause
#include "core/retire_queue.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>

#include "core/clock.h"
#include "core/relaxed.h"

namespace iovad::core {

static_assert(RetireQueue::kEntries * sizeof(uint64_t) % 64 == 0);

namespace {

void raise(std::atomic<uint64_t> &peak, uint64_t value)
{
	uint64_t was = peak.load(std::memory_order_relaxed);
	while (was < value && !peak.compare_exchange_weak(was, value, std::memory_order_relaxed)) {
	}
}

}  // namespace

unsigned RetireQueue::take(uint64_t *entries, unsigned most, uint64_t now, uint64_t &since)
{
	LockGuard guard(lock_);
	const uint64_t all = put();
	const unsigned n = static_cast<unsigned>(std::min<uint64_t>(all - taken_, most));
	for (unsigned i = 0; i < n; ++i)
		entries[i] = hot_.entry[(taken_ + i) % kEntries];
	since = older_.at;
	taken_ += n;
	if (taken_ == all) {
		older_ = newer_ = {all, now};
	} else if (taken_ >= newer_.put) {
		// Only now: a newer mark would move on with the entries, and never be reached.
		older_ = newer_;
		newer_ = {all, now};
	}
	return n;
}

uint64_t RetireQueue::oldest(uint64_t now)
{
	LockGuard guard(lock_);
	return put() == taken_ ? now : older_.at;
}

RetireQueue::Waiting RetireQueue::visit(uint64_t now)
{
	LockGuard guard(lock_);
	const uint64_t all = put();
	if (all == taken_)
		older_ = newer_ = {all, now};
	return {all - taken_, older_.at};
}

void RetireQueue::close()
{
	LockGuard guard(lock_);
	store_relaxed(hot_.limit, 0);
}

bool RetireQueue::holds(Pfn pfn)
{
	LockGuard guard(lock_);
	const uint64_t all = put();
	for (uint64_t i = taken_; i != all; ++i) {
		const Retired what = Retired::of(hot_.entry[i % kEntries]);
		if (pfn - what.first < what.granules)
			return true;
	}
	return false;
}

size_t RetireQueues::bytes(unsigned count)
{
	static_assert(alignof(RetireQueue) == 64);
	return ((sizeof(RetireQueues) + 63) & ~size_t{63}) + (count + 1) * sizeof(RetireQueue);
}

RetireQueues *RetireQueues::format(void *memory, unsigned count, uint64_t most, uint64_t max_age)
{
	auto *all = new (memory) RetireQueues{};
	auto *queues = static_cast<std::byte *>(memory) + ((sizeof(RetireQueues) + 63) & ~size_t{63});
	all->count_ = count + 1;
	all->most_ = most;
	all->max_age_ = max_age;
	all->left_ = most;
	all->unowned_ = count;
	all->in_work_since_ = UINT64_MAX;
	// Small enough that what idle owners keep leaves most of it to the others.
	all->chunk_ = std::clamp<uint64_t>(most / (4 * all->count_), 1, RetireQueue::kEntries / 4);
	all->queues_ = reinterpret_cast<RetireQueue *>(queues);
	std::uninitialized_value_construct_n(all->queues_, all->count_);
	const uint64_t now = now_ns();
	all->for_each([now](RetireQueue &q) { q.older_ = q.newer_ = {0, now}; });
	return all;
}

RetireQueue *RetireQueues::claim()
{
	if (unowned_.load(std::memory_order_relaxed) == 0)
		return nullptr;
	for (unsigned i = 1; i < count_; ++i) {
		LockGuard guard(queues_[i].lock_);
		if (!queues_[i].owned_) {
			queues_[i].owned_ = true;
			unowned_.fetch_sub(1, std::memory_order_relaxed);
			return &queues_[i];
		}
	}
	return nullptr;
}

void RetireQueues::release(RetireQueue &q)
{
	LockGuard guard(q.lock_);
	store_relaxed(q.hot_.limit, 0);
	left_.fetch_add(q.granted_ - q.hot_.granules, std::memory_order_relaxed);
	q.granted_ = q.hot_.granules;
	q.owned_ = false;
	unowned_.fetch_add(1, std::memory_order_relaxed);
}

bool RetireQueues::extend(RetireQueue &q, uint64_t granules)
{
	LockGuard guard(q.lock_);
	const uint64_t put = q.hot_.granules, room = RetireQueue::kEntries - (q.hot_.put - q.taken_);
	if (room == 0 || granules > IOVAD_HOT_LONGEST)
		return false;
	const uint64_t unused = q.granted_ - put;
	if (unused < granules) {
		uint64_t left = left_.load(std::memory_order_relaxed), more;
		do {
			more = std::min(std::max(granules - unused, chunk_), left);
			if (unused + more < granules)
				return false;
		} while (!left_.compare_exchange_weak(left, left - more, std::memory_order_relaxed));
		q.granted_ += more;
	}
	// What is to be put next takes one entry, however long it is.
	store_relaxed(q.hot_.limit, put + std::max(granules, std::min({q.granted_ - put, room, RetireQueue::kStep})));
	return true;
}

void RetireQueues::Done::add(uint64_t since, unsigned entries)
{
	const uint64_t age = now_ - std::min(since, now_);
	ages_[std::min<unsigned>(static_cast<unsigned>(std::bit_width(age / kMicrosecond)), kAges - 1)] += entries;
	peak_age_ = std::max(peak_age_, age);
	entries_ += entries;
}

void RetireQueues::done(const Done &done)
{
	for (unsigned i = 0; i < Done::kAges; ++i) {
		if (done.ages_[i] != 0)
			counters.ages[i].fetch_add(done.ages_[i], std::memory_order_relaxed);
	}
	raise(counters.peak_age, done.peak_age_);
	// Release pairs with deferred().
	done_entries_.fetch_add(done.entries_, std::memory_order_release);
	done_granules_.fetch_add(done.granules_, std::memory_order_release);
	left_.fetch_add(done.granules_, std::memory_order_relaxed);
}

bool RetireQueues::due(uint64_t now)
{
	bool due = scarce();
	for_each([&](RetireQueue &queue) {
		const RetireQueue::Waiting w = queue.visit(now);
		due |= w.entries > RetireQueue::kEntries / 2 ||
		       (w.entries != 0 && now - std::min(now, w.oldest) >= max_age_ / 8);
	});
	return due;
}

RetireQueues::Deferred RetireQueues::deferred() const
{
	// What is done first: it was put before. Acquire pairs with done(), so that it stays first, and
	// whoever finds nothing deferred sees that all of it is gone.
	const uint64_t entries = done_entries_.load(std::memory_order_acquire);
	const uint64_t granules = done_granules_.load(std::memory_order_acquire);
	Deferred sum = {};
	for (unsigned i = 0; i < count_; ++i) {
		sum.entries += queues_[i].put();
		sum.granules += queues_[i].granules();
	}
	// What came and was done in between counts as deferred: not beyond what can be.
	return {std::min(sum.entries - entries, most_), std::min(sum.granules - granules, most_)};
}

void RetireQueues::note_peak() { raise(counters.peak_granules, deferred().granules); }

uint64_t RetireQueues::oldest(uint64_t now)
{
	uint64_t oldest = now;
	// Queues first: what has left one was noted as in work before, which its lock lets us see.
	for_each([&](RetireQueue &queue) {
		oldest = std::min(oldest, queue.oldest(now));
		oldest = std::min(oldest, queue.helped_since());
	});
	return std::min(oldest, in_work_since_.load(std::memory_order_relaxed));
}

uint64_t RetireQueues::age_us(unsigned per_mille) const
{
	uint64_t all = 0, seen = 0;
	for (const auto &n : counters.ages)
		all += n.load(std::memory_order_relaxed);
	for (unsigned slot = 0; slot < Done::kAges; ++slot) {
		seen += counters.ages[slot].load(std::memory_order_relaxed);
		if (seen != 0 && seen * 1000 >= all * per_mille)
			return uint64_t{1} << slot;
	}
	return 0;
}

}  // namespace iovad::core
