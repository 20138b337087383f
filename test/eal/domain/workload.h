// SPDX-License-Identifier: BSD-3-Clause
// What threads do to a domain in the tests of concurrency, and the map that finds them
// owning the same page.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "../test_domain.h"

namespace iovad::test {

// One byte per page of a window from page 1 on.
class Ownership {
public:
	explicit Ownership(uint64_t pages) : pages_(pages), owned_(new std::atomic<uint8_t>[pages + 1]()) {}

	void take(rte_iova_t iova, uint64_t len) { turn(iova, len, 0); }
	void give_back(rte_iova_t iova, uint64_t len) { turn(iova, len, 1); }
	uint64_t violations() const { return violations_; }

private:
	// From `expected` to its opposite.
	void turn(rte_iova_t iova, uint64_t len, uint8_t expected)
	{
		for (uint64_t page = iova / kPage; page < (iova + len) / kPage; ++page) {
			const bool good = page >= 1 && page <= pages_ && owned_[page].exchange(!expected) == expected;
			violations_ += !good;
		}
	}

	uint64_t pages_;
	std::unique_ptr<std::atomic<uint8_t>[]> owned_;
	std::atomic<uint64_t> violations_ = 0;
};

// Allocates and frees at random until told to stop, or for so many rounds.
class Worker {
public:
	using Alloc = std::function<bool(uint64_t, rte_iova_t &)>;
	using Free = std::function<void(rte_iova_t, uint64_t)>;

	Worker(unsigned seed, size_t most, unsigned sizes, Alloc alloc, Free free)
		: random_(seed), most_(most), sizes_(sizes), alloc_(std::move(alloc)), free_(std::move(free))
	{
	}
	~Worker()
	{
		for (const auto &[iova, len] : held_)
			free_(iova, len);
	}
	Worker(const Worker &) = delete;
	Worker &operator=(const Worker &) = delete;

	void step()
	{
		const uint64_t len = kPage << random_() % sizes_;
		rte_iova_t iova;
		if (held_.size() < most_ && random_() % 2 == 0 && alloc_(len, iova)) {
			held_.push_back({iova, len});
		} else if (!held_.empty()) {
			std::swap(held_[random_() % held_.size()], held_.back());
			free_(held_.back().first, held_.back().second);
			held_.pop_back();
		}
	}

private:
	std::mt19937 random_;
	size_t most_;
	unsigned sizes_;
	Alloc alloc_;
	Free free_;
	std::vector<std::pair<rte_iova_t, uint64_t>> held_;
};

// Addresses on their way from one thread to another. Unlike an rte_ring, it makes nobody
// wait for a thread that has no CPU at the moment.
class Mailbox {
public:
	bool post(rte_iova_t iova)
	{
		for (auto &slot : slots_) {
			rte_iova_t none = 0;
			if (slot.load() == 0 && slot.compare_exchange_strong(none, iova))
				return true;
		}
		return false;
	}
	// 0: nothing there.
	rte_iova_t collect()
	{
		for (auto &slot : slots_) {
			if (slot.load() == 0)
				continue;
			if (const rte_iova_t iova = slot.exchange(0))
				return iova;
		}
		return 0;
	}

private:
	std::atomic<rte_iova_t> slots_[64] = {};
};

}  // namespace iovad::test
