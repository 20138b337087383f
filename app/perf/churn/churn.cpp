// SPDX-License-Identifier: BSD-3-Clause
#include "churn/churn.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>

#include <rte_cycles.h>

#include "churn/exposure.h"
#include "measure/lcores.h"
#include "measure/spin.h"

namespace iovad::perf {
namespace {

constexpr size_t kCacheLine = 64;
constexpr uint64_t kDefaultMaxRanges = 65536;
constexpr uint64_t kSmallestWindow = uint64_t(1) << 30;

}  // namespace

BufferPlan::BufferPlan(const ChurnOptions &options, size_t lcores)
	: stride((options.size + kChurnGranule - 1) / kChurnGranule * kChurnGranule),
	  per_lcore(options.depth + options.bounds.max_bytes / stride + 1), total(stride * per_lcore * lcores),
	  iova_last(kChurnFirst + std::max(kSmallestWindow, std::bit_ceil(4 * total)) - 1),
	  max_ranges(std::max(kDefaultMaxRanges, 2 * per_lcore * lcores))
{
}

class alignas(kCacheLine) Churn::Worker {
public:
	Worker(Churn &churn, uint32_t index)
		: churn_(churn), domain_(churn.domain_), index_(index), size_(churn.options_.size),
		  held_(churn.options_.depth), exposure_(churn.domain_, size_)
	{
	}

	void run() noexcept
	{
		while (mapped_ < held_.size())
			map();
		result_.map_ticks = {};
		result_.begin_tick = now_ = rte_rdtsc();
		const uint64_t pairs = churn_.options_.ops == 0 ? UINT64_MAX : churn_.options_.ops;
		const uint64_t deadline = churn_.options_.seconds == 0
						  ? UINT64_MAX
						  : now_ + churn_.options_.seconds * rte_get_tsc_hz();
		while (result_.pairs < pairs && now_ < deadline) {
			unmap(true);
			map();
			exposure_.look();
			result_.pairs++;
			pairs_.store(result_.pairs, std::memory_order_relaxed);
		}
		result_.end_tick = rte_rdtsc();
		finish();
	}

	void add_to(ChurnResult &result) const
	{
		result.begin_tick = std::min(result.begin_tick, result_.begin_tick);
		result.end_tick = std::max(result.end_tick, result_.end_tick);
		result.pairs += result_.pairs;
		result.mapped += mapped_ - result_.failed_maps;
		result.map_ticks.merge(result_.map_ticks);
		result.unmap_ticks.merge(result_.unmap_ticks);
		result.exposed_at_least.merge(exposure_.at_least());
		result.exposed_at_most.merge(exposure_.at_most());
		result.failed_maps += result_.failed_maps;
		result.failed_unmaps += result_.failed_unmaps;
		if (result.first_error == 0)
			result.first_error = result_.first_error;
		result.overlaps += result_.overlaps;
		result.astray += result_.astray;
	}

	// Called while it runs.
	uint64_t pairs() const { return pairs_.load(std::memory_order_relaxed); }

private:
	char *buffer(uint64_t n) const
	{
		const BufferPlan &plan = churn_.buffers_;
		return churn_.memory_.at((index_ * plan.per_lcore + n % plan.per_lcore) * plan.stride);
	}

	int make_reachable(void *va, rte_iova_t &iova)
	{
		if (churn_.mode_ != Mode::region)
			return iovad_map(domain_, va, size_, UINT64_MAX, IOVAD_BIDIRECTIONAL, &iova);
		iova = iovad_va2iova(domain_, va, size_);
		return iova == RTE_BAD_IOVA ? -ENOENT : 0;
	}

	void map() noexcept
	{
		void *const va = buffer(mapped_);
		rte_iova_t &iova = held_[mapped_ % held_.size()];
		mapped_++;
		const uint64_t before = rte_rdtsc();
		const int status = make_reachable(va, iova);
		now_ = rte_rdtsc();
		if (status != 0) {
			failed(result_.failed_maps, status);
			iova = 0;
			return;
		}
		result_.map_ticks.record(now_ - before);
		exposure_.mapped(va);
		judge(va, iova);
	}

	// The oldest.
	void unmap(bool timed) noexcept
	{
		const void *const va = buffer(unmapped_);
		const rte_iova_t iova = held_[unmapped_ % held_.size()];
		unmapped_++;
		if (iova == 0)
			return;
		if (in_domain(iova))
			churn_.ownership_.release(iova, churn_.buffers_.stride, index_);
		if (churn_.mode_ == Mode::region)
			return;
		const uint64_t before = rte_rdtsc();
		const int status = iovad_unmap(domain_, iova, size_);
		now_ = rte_rdtsc();
		if (status != 0)
			failed(result_.failed_unmaps, status);
		else if (timed)
			result_.unmap_ticks.record(now_ - before);
		if (timed && churn_.mode_ == Mode::lazy && !exposure_.watching())
			exposure_.watch(iova, va, before);
	}

	void judge(const void *va, rte_iova_t iova)
	{
		if (!in_domain(iova) || iovad_iova2va(domain_, iova, size_) != va)
			result_.astray++;
		if (in_domain(iova))
			result_.overlaps += churn_.ownership_.claim(iova, churn_.buffers_.stride, index_) !=
					    Ownership::kNobody;
	}

	bool in_domain(rte_iova_t iova) const
	{
		return iova % kChurnGranule == 0 && iova >= kChurnFirst &&
		       iova <= churn_.buffers_.iova_last + 1 - churn_.buffers_.stride;
	}

	void finish() noexcept
	{
		spin_until([&] {
			exposure_.look();
			return !exposure_.watching();
		});
		while (unmapped_ < mapped_)
			unmap(false);
	}

	void failed(uint64_t &counter, int status)
	{
		counter++;
		if (result_.first_error == 0)
			result_.first_error = status;
	}

	Churn &churn_;
	iovad_domain *const domain_;
	const uint32_t index_;
	const uint64_t size_;
	std::vector<rte_iova_t> held_;  // 0: could not be mapped
	uint64_t mapped_ = 0, unmapped_ = 0;  // ever tried
	uint64_t now_ = 0;                    // the last reading of the clock
	Exposure exposure_;
	ChurnResult result_;
	// Alone on its line: the watchdog reads it.
	alignas(kCacheLine) std::atomic<uint64_t> pairs_ = 0;
};

Churn::Churn(const ChurnOptions &options, const BufferPlan &buffers, const Memory &memory, Mode mode,
	     iovad_domain *domain, const std::vector<unsigned> &lcores)
	: options_(options), buffers_(buffers), memory_(memory), mode_(mode), domain_(domain), lcores_(lcores),
	  ownership_(kChurnFirst, buffers.iova_last, kChurnGranule)
{
	for (uint32_t i = 0; i < lcores.size(); i++)
		workers_.push_back(std::make_unique<Worker>(*this, i));
}

Churn::~Churn() = default;

ChurnResult Churn::run()
{
	run_on_lcores(lcores_, {[this](size_t i) { workers_[i]->run(); }, [this] { return progress(); },
				[this] { say_where(); }});
	ChurnResult result;
	for (const auto &worker : workers_)
		worker->add_to(result);
	result.still_owned = ownership_.owned_granules();
	return result;
}

uint64_t Churn::progress() const
{
	uint64_t sum = 0;
	for (const auto &worker : workers_)
		sum += worker->pairs();
	return sum;
}

// On the watchdog's thread.
void Churn::say_where() const
{
	for (size_t i = 0; i < workers_.size(); i++)
		fprintf(stderr, "iovad-perf: lcore %u, %s: %llu pairs of calls came to an end\n", lcores_[i],
			name_of(mode_), static_cast<unsigned long long>(workers_[i]->pairs()));
}

}  // namespace iovad::perf
