// SPDX-License-Identifier: BSD-3-Clause
// Retire queues in memory of a test's own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "core/clock.h"
#include "core/retire_queue.h"
#include "tree_fixture.h"

namespace iovad::core {

constexpr unsigned kShift = 12;
constexpr uint64_t kGranule = uint64_t{1} << kShift;

class OwnedQueues {
public:
	OwnedQueues(unsigned count, uint64_t most, uint64_t max_age = 0)
		: memory_(std::aligned_alloc(64, RetireQueues::bytes(count))),
		  queues(*RetireQueues::format(memory_.get(), count, most, max_age))
	{
	}

	// So many granules at that one, by the way of an owner: the limit first, then the cold path.
	bool put(RetireQueue &q, Pfn first, uint64_t granules = 1)
	{
		const auto hot = [&] { return q.put(kShift, first * kGranule + 1, granules * kGranule - 1); };
		return hot() || (queues.extend(q, granules) && hot());
	}
	// All, as their first granules.
	std::vector<Pfn> take(RetireQueue &q, unsigned most = RetireQueue::kEntries, uint64_t now = now_ns())
	{
		std::vector<uint64_t> entries(most);
		uint64_t granules = 0;
		entries.resize(q.take(entries.data(), most, now, since));
		for (uint64_t &entry : entries) {
			granules += Retired::of(entry).granules;
			entry = Retired::of(entry).first;
		}
		taken_granules += granules;
		return entries;
	}
	// Takes so many, and says that they are gone.
	unsigned finish(RetireQueue &q, unsigned most, uint64_t now)
	{
		taken_granules = 0;
		const auto n = static_cast<unsigned>(take(q, most, now).size());
		queues.done(n, taken_granules, since, now);
		return n;
	}

private:
	std::unique_ptr<void, FreeDeleter> memory_;

public:
	RetireQueues &queues;
	uint64_t since = 0, taken_granules = 0;
};

}  // namespace iovad::core
