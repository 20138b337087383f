// SPDX-License-Identifier: BSD-3-Clause
// Threads in one domain, each an lcore or none, with an owner recorded for every granule:
// two owners at once is what must never happen.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "domain_fixture.h"

namespace iovad::core {

inline constexpr uint64_t kPage = OwnedDomain::kGranule;
inline constexpr uint64_t kNoLimit = ~uint64_t{0};

// Which thread owns each granule of a domain; counts what is owned twice.
class Owners {
public:
	explicit Owners(uint64_t granules) : owner_(new std::atomic<uint8_t>[granules]{}) {}

	void take(uint64_t iova, uint64_t len)
	{
		for (uint64_t p = iova / kPage; p < (iova + len) / kPage; ++p)
			violations_ += owner_[p].exchange(1) != 0;
	}
	void give(uint64_t iova, uint64_t len)
	{
		for (uint64_t p = iova / kPage; p < (iova + len) / kPage; ++p)
			violations_ += owner_[p].exchange(0) != 1;
	}
	uint64_t violations() const { return violations_; }

private:
	std::unique_ptr<std::atomic<uint8_t>[]> owner_;
	std::atomic<uint64_t> violations_ = 0;
};

struct Held {
	uint64_t iova, len;
};

class Worker {
public:
	Worker(OwnedDomain &d, Owners &owners, unsigned lcore, uint64_t seed, size_t most)
		: domain_(d.domain), owners_(owners), lcore_(lcore), random_(seed), most_(most)
	{
	}

	void run(int steps)
	{
		for (int i = 0; i < steps; ++i) {
			if (held_.size() < most_ && random_.below(100) < 52)
				take();
			else if (!held_.empty())
				give();
			if (random_.below(64) == 0)
				bulk();
		}
		while (!held_.empty())
			give();
	}
	uint64_t refused = 0, wrong = 0;

private:
	void take()
	{
		const uint64_t len = (1 + random_.below(random_.below(4) ? 2 : 80)) * kPage;
		uint64_t iova;
		const Status status = domain_.alloc(lcore_, len, kNoLimit, iova);
		if (status == Status::ok) {
			owners_.take(iova, len);
			held_.push_back({iova, len});
		} else {
			++(status == Status::no_space ? refused : wrong);
		}
	}
	void give()
	{
		std::swap(held_[random_.below(held_.size())], held_.back());
		const Held h = held_.back();
		held_.pop_back();
		owners_.give(h.iova, h.len);
		wrong += domain_.free(lcore_, h.iova, h.len) != Status::ok;
	}
	void bulk()
	{
		uint64_t iovas[48];
		const unsigned n = 1 + static_cast<unsigned>(random_.below(48));
		if (domain_.alloc_bulk(lcore_, kPage, kNoLimit, iovas, n) != Status::ok) {
			++refused;
			return;
		}
		for (unsigned i = 0; i < n; ++i)
			owners_.take(iovas[i], kPage);
		for (unsigned i = 0; i < n; ++i)
			owners_.give(iovas[i], kPage);
		wrong += domain_.free_bulk(lcore_, iovas, kPage, n) != Status::ok;
	}

	Domain &domain_;
	Owners &owners_;
	unsigned lcore_;
	Random random_;
	size_t most_;
	std::vector<Held> held_;
};

}  // namespace iovad::core
