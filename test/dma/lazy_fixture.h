// SPDX-License-Identifier: BSD-3-Clause
// A mapper whose lcores unmap lazily, as programs do: by the inlined path, then by the library.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>

#include "mapper_fixture.h"

namespace iovad::dma {

using Policy = Mapper::Policy;
constexpr uint64_t kForEver = ~uint64_t{0};
constexpr unsigned kControl = 9;  // the control lcore

inline RigConfig lazily(RigConfig config = {})
{
	config.policy = Policy::lazy;
	return config;
}
// So many pages.
inline RigConfig small(uint64_t pages, RigConfig config = {})
{
	config.last = (pages + 1) * k4K - 1;
	return lazily(config);
}

class LazyRig : public Rig {
public:
	struct Told {
		Trouble trouble;
		uint64_t iova, len;
	};

	explicit LazyRig(const RigConfig &config = lazily()) : Rig(config)
	{
		mapper.set_report([this](Trouble trouble, uint64_t iova, uint64_t len, const Outcome &) {
			const std::lock_guard guard(told_mutex_);
			told_.push_back({trouble, iova, len});
		});
		mapper.serve(kForEver);
	}

	Status unmap_lazy(uint64_t iova, uint64_t len = k4K, unsigned lcore = 0)
	{
		return iovad_hot_retire(&domain.hot(), lcore, iova, len) ? Status::ok : mapper.unmap_lazy(lcore, iova, len).status;
	}
	// It works, and the mapping stays for now.
	void defer(uint64_t iova, uint64_t len = k4K, unsigned lcore = 0)
	{
		const uint64_t before = deferred();
		EXPECT_EQ(Status::ok, unmap_lazy(iova, len, lcore));
		EXPECT_EQ(before + 1, deferred());
		EXPECT_FALSE(faults(iova));
	}
	unsigned pass() { return mapper.pass(kControl); }
	uint64_t deferred() { return queues.deferred().entries; }
	uint64_t unmap_calls() { return faulty.calls(Call::unmap); }
	// A page each.
	std::vector<uint64_t> mapped_pages(unsigned n, uint64_t va = kMemory)
	{
		std::vector<uint64_t> out;
		for (unsigned i = 0; i < n; ++i)
			out.push_back(mapped(va + 2 * i * k4K, k4K));
		return out;
	}
	std::vector<Told> told(Trouble which)
	{
		const std::lock_guard guard(told_mutex_);
		std::vector<Told> out;
		std::copy_if(told_.begin(), told_.end(), std::back_inserter(out), [=](const Told &t) { return t.trouble == which; });
		return out;
	}
	void expect_nothing_left()
	{
		EXPECT_EQ(Status::ok, mapper.drain(0).status);
		EXPECT_EQ(0u, deferred());
		EXPECT_EQ(0u, queues.deferred().granules);
		expect_empty();
	}

private:
	std::mutex told_mutex_;
	std::vector<Told> told_;
};

}  // namespace iovad::dma
