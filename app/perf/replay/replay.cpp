// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <limits>

#include <rte_cycles.h>

#include "measure/lcores.h"
#include "measure/spin.h"

namespace iovad::perf {
namespace {

constexpr uint64_t kNothing = 1;  // no address: not a multiple of the granule
constexpr size_t kCacheLine = 64;
constexpr size_t kMaxFindings = 8;  // kept of one worker and run; a broken allocator has thousands
constexpr uint32_t kDone = std::numeric_limits<uint32_t>::max();

bool in_domain(uint64_t iova, uint64_t len)
{
	return iova % kGranule == 0 && iova >= kFirstIova && iova <= kLastIova &&
	       len - 1 <= kLastIova - iova;
}

}  // namespace

// One lcore's share of the plan.
class alignas(kCacheLine) Replay::Worker {
public:
	Worker(Replay &replay, uint16_t index) : replay_(replay), index_(index) {}

	void add(uint32_t position, const Op &op) { calls_.push_back({position, op.slot, op.is_free}); }

	void reset()
	{
		alloc_ticks_ = {};
		free_ticks_ = {};
		failed_allocs_ = failed_frees_ = waited_ticks_ = 0;
		first_error_ = 0;
		findings_.clear();
		findings_.reserve(kMaxFindings);
		found_ = {};
		slowest_ = 0;
		position_.store(calls_.empty() ? kDone : calls_.front().position,
				std::memory_order_relaxed);
	}

	void run() noexcept
	{
		begin_tick_ = rte_rdtsc();
		for (size_t i = 0; i < calls_.size(); i++) {
			const Call &call = calls_[i];
			wait_for_window(call.position);
			if (replay_.paced_)
				wait_until(call.position);
			if (call.is_free)
				free(call);
			else
				alloc(call);
			// Relaxed: it throttles the others and guards nothing.
			position_.store(i + 1 < calls_.size() ? calls_[i + 1].position : kDone,
					std::memory_order_relaxed);
		}
		end_tick_ = rte_rdtsc();
	}

	void add_to(RunResult &result) const
	{
		result.alloc_ticks.merge(alloc_ticks_);
		result.free_ticks.merge(free_ticks_);
		result.failed_allocs += failed_allocs_;
		result.failed_frees += failed_frees_;
		if (result.first_error == 0)
			result.first_error = first_error_;
		result.waited_ticks += waited_ticks_;
		result.findings.insert(result.findings.end(), findings_.begin(), findings_.end());
		for (size_t kind = 0; kind < kFindingKinds; kind++)
			result.found[kind] += found_[kind];
		const uint64_t busy = alloc_ticks_.sum() + free_ticks_.sum();
		if (busy != 0)
			result.calls_per_busy_tick +=
				double(alloc_ticks_.count() + free_ticks_.count()) / double(busy);
		if (!calls_.empty()) {
			result.begin_tick = std::min(result.begin_tick, begin_tick_);
			result.end_tick = std::max(result.end_tick, end_tick_);
		}
	}

	// Of the call it is at; kDone when it has made all of them. Called while it runs.
	uint32_t position() const { return position_.load(std::memory_order_relaxed); }

	// Changes as long as calls are made, or their time has not come.
	uint64_t progress() const { return position() + waits_.load(std::memory_order_relaxed); }

private:
	struct Call {
		uint32_t position;  // in Plan::ops
		uint32_t slot;
		bool is_free;
	};

	void alloc(const Call &call)
	{
		const uint64_t len = replay_.target_.len_of(call.slot);
		rte_iova_t iova = 0;
		const uint64_t before = rte_rdtsc();
		const int status = replay_.target_.take(call.slot, len, iova);
		const uint64_t after = rte_rdtsc();

		auto &published = replay_.published_[call.slot];
		if (status != 0) {
			failed(failed_allocs_, status);
			published.store(kNothing, std::memory_order_relaxed);  // nothing goes with it
			return;
		}
		alloc_ticks_.record(after - before);
		if (judge(call.slot, iova, len))
			replay_.records_[call.slot] = {iova, after, 0, index_};
		// Release: whoever frees it must see the marks and the record before it clears them.
		// Pairs with the acquire in free().
		published.store(iova, std::memory_order_release);
	}

	void free(const Call &call)
	{
		auto &published = replay_.published_[call.slot];
		uint64_t iova = 0;
		// Acquire: pairs with the release in alloc().
		const auto allocated = [&] {
			iova = published.load(std::memory_order_acquire);
			return iova != 0;
		};
		wait(allocated);
		if (iova == kNothing)
			return;
		const uint64_t len = replay_.target_.len_of(call.slot);
		if (in_domain(iova, len))
			replay_.ownership_.release(iova, len, call.slot);
		// Relaxed: only free_rest() looks, after all have ended.
		published.store(kNothing, std::memory_order_relaxed);

		const uint64_t before = rte_rdtsc();
		const int status = replay_.target_.give_back(iova, len);
		const uint64_t after = rte_rdtsc();
		if (status != 0)
			failed(failed_frees_, status);
		else
			free_ticks_.record(after - before);
		replay_.records_[call.slot].free_tick = before;
	}

	// False where the range lies outside the domain, and so can be neither marked nor drawn.
	bool judge(uint32_t slot, uint64_t iova, uint64_t len)
	{
		if (!in_domain(iova, len)) {
			found({FindingKind::out_of_range, slot, slot, iova});
			return false;
		}
		// iovad_map() promises no alignment beyond the granule's.
		if (!replay_.target_.maps() && iova % std::bit_ceil(len) != 0)
			found({FindingKind::misaligned, slot, slot, iova});
		const uint32_t other = replay_.ownership_.claim(iova, len, slot);
		if (other != Ownership::kNobody)
			found({FindingKind::overlap, slot, other, iova});
		return true;
	}

	void found(const Finding &finding)
	{
		found_[static_cast<size_t>(finding.kind)]++;
		if (findings_.size() < kMaxFindings)
			findings_.push_back(finding);
	}

	void failed(uint64_t &counter, int status)
	{
		counter++;
		if (first_error_ == 0)
			first_error_ = status;
	}

	void wait_for_window(uint32_t position)
	{
		// slowest_ is remembered, so that the others' lines are read once in a while only.
		if (position <= slowest_ + kWindow)
			return;
		wait([&] {
			slowest_ = kDone;
			for (const auto &worker : replay_.workers_)
				slowest_ = std::min<uint64_t>(slowest_, worker->position());
			return position <= slowest_ + kWindow;
		});
	}

	void wait_until(uint32_t position)
	{
		const uint64_t ns = replay_.plan_.ops[position].time_ns;
		const uint64_t due = replay_.epoch_tick_ +
				     static_cast<uint64_t>(double(ns) * 1e-9 * double(rte_get_tsc_hz()));
		wait([&] {
			waits_.fetch_add(1, std::memory_order_relaxed);
			return rte_rdtsc() >= due;
		});
	}

	template <typename Ready> void wait(Ready ready)
	{
		if (ready())
			return;
		const uint64_t start = rte_rdtsc();
		spin_until(ready);
		waited_ticks_ += rte_rdtsc() - start;
	}

	Replay &replay_;
	const uint16_t index_;
	std::vector<Call> calls_;
	Histogram alloc_ticks_, free_ticks_;
	uint64_t failed_allocs_ = 0, failed_frees_ = 0, waited_ticks_ = 0;
	uint64_t begin_tick_ = 0, end_tick_ = 0;
	int first_error_ = 0;
	uint64_t slowest_ = 0;  // wider than a position: window and kDone add up
	std::array<uint64_t, kFindingKinds> found_ = {};
	std::vector<Finding> findings_;
	// The next call's position. Alone on its line: the others read it while the rest is written.
	alignas(kCacheLine) std::atomic<uint32_t> position_ = 0;
	std::atomic<uint64_t> waits_ = 0;
};

Replay::Replay(const Plan &plan, const Target &target, const std::vector<unsigned> &lcores, bool paced)
	: plan_(plan), target_(target), lcores_(lcores), ownership_(kFirstIova, kLastIova, kGranule),
	  published_(plan.slots.size()), records_(plan.slots.size()), paced_(paced)
{
	for (size_t i = 0; i < lcores.size(); i++)
		workers_.push_back(std::make_unique<Worker>(*this, static_cast<uint16_t>(i)));
	for (uint32_t position = 0; position < plan.ops.size(); position++) {
		const Op &op = plan.ops[position];
		workers_[op.cpu % workers_.size()]->add(position, op);
	}
}

Replay::~Replay() = default;

RunResult Replay::run()
{
	for (auto &published : published_)
		published.store(0, std::memory_order_relaxed);
	std::fill(records_.begin(), records_.end(), SlotRecord());
	for (auto &worker : workers_)
		worker->reset();
	epoch_tick_ = rte_rdtsc();
	run_on_lcores(lcores_, {[this](size_t i) { workers_[i]->run(); }, [this] { return progress(); },
				[this] { say_where(); }});

	RunResult result;
	result.begin_tick = std::numeric_limits<uint64_t>::max();
	for (const auto &worker : workers_)
		worker->add_to(result);
	result.slots = records_;
	return result;
}

uint64_t Replay::progress() const
{
	uint64_t sum = 0;
	for (const auto &worker : workers_)
		sum += worker->progress();
	return sum;
}

void Replay::say_where() const
{
	for (size_t i = 0; i < workers_.size(); i++) {
		const uint32_t position = workers_[i]->position();
		if (position == kDone)
			continue;
		const Op &op = plan_.ops[position];
		const Slot &slot = plan_.slots[op.slot];
		fprintf(stderr, "iovad-perf: lcore %u is at the %s of line %u\n", lcores_[i],
			op.is_free ? "unmap" : "map", op.is_free ? slot.free_line : slot.alloc_line);
	}
}

uint64_t Replay::free_rest()
{
	uint64_t failed = 0;
	for (uint32_t slot = 0; slot < published_.size(); slot++) {
		const uint64_t iova = published_[slot].exchange(kNothing, std::memory_order_relaxed);
		if (iova == 0 || iova == kNothing)
			continue;
		const uint64_t len = target_.len_of(slot);
		if (in_domain(iova, len))
			ownership_.release(iova, len, slot);
		failed += target_.give_back(iova, len) != 0;
	}
	return failed;
}

}  // namespace iovad::perf
