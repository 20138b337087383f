// SPDX-License-Identifier: BSD-3-Clause
#include "replay/replay.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <limits>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include "errors.h"
#include "text.h"
#include "replay/watchdog.h"

namespace iovad::perf {
namespace {

constexpr uint64_t kNothing = 1;  // no address: not a multiple of the granule
constexpr size_t kCacheLine = 64;
constexpr size_t kMaxFindings = 8;  // kept of one worker and run; a broken allocator has thousands
// Of no call coming to an end; far more than the pauses of a loaded machine.
constexpr std::chrono::seconds kPatience{20};
constexpr uint32_t kDone = std::numeric_limits<uint32_t>::max();

uint64_t whole_granules(uint64_t size)
{
	return (size + kGranule - 1) / kGranule * kGranule;
}

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
		// All start together, or the first would be measured alone. Relaxed: what the others do
		// is ordered by what they publish.
		replay_.arrived_.fetch_add(1, std::memory_order_relaxed);
		const auto all_here = [&] {
			return replay_.arrived_.load(std::memory_order_relaxed) ==
			       replay_.workers_.size();
		};
		wait(all_here);
		waited_ticks_ = 0;

		begin_tick_ = rte_rdtsc();
		for (size_t i = 0; i < calls_.size(); i++) {
			const Call &call = calls_[i];
			wait_for_window(call.position);
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

private:
	struct Call {
		uint32_t position;  // in Plan::ops
		uint32_t slot;
		bool is_free;
	};

	void alloc(const Call &call)
	{
		const uint64_t len = len_of(call.slot);
		rte_iova_t iova = 0;
		const uint64_t before = rte_rdtsc();
		const int status = iovad_alloc(replay_.domain_, len, kLastIova, &iova);
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
		const uint64_t len = len_of(call.slot);
		if (in_domain(iova, len))
			replay_.ownership_.release(iova, len, call.slot);
		// Relaxed: only free_rest() looks, after all have ended.
		published.store(kNothing, std::memory_order_relaxed);

		const uint64_t before = rte_rdtsc();
		const int status = iovad_free(replay_.domain_, iova, len);
		const uint64_t after = rte_rdtsc();
		if (status != 0)
			failed(failed_frees_, status);
		else
			free_ticks_.record(after - before);
		replay_.records_[call.slot].free_tick = before;
	}

	uint64_t len_of(uint32_t slot) const { return whole_granules(replay_.plan_.slots[slot].size); }

	// False where the range lies outside the domain, and so can be neither marked nor drawn.
	bool judge(uint32_t slot, uint64_t iova, uint64_t len)
	{
		if (!in_domain(iova, len)) {
			found({FindingKind::out_of_range, slot, slot, iova});
			return false;
		}
		if (iova % std::bit_ceil(len) != 0)
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

	template <typename Ready> void wait(Ready ready)
	{
		if (ready())
			return;
		const uint64_t start = rte_rdtsc();
		for (unsigned spins = 1; !ready(); spins++) {
			rte_pause();
			// With fewer cores than lcores the one waited for needs this core.
			if (spins % 1024 == 0)
				sched_yield();
		}
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
};

Replay::Replay(const Plan &plan, iovad_domain *domain, const std::vector<unsigned> &lcores)
	: plan_(plan), domain_(domain), lcores_(lcores), ownership_(kFirstIova, kLastIova, kGranule),
	  published_(plan.slots.size()), records_(plan.slots.size())
{
	for (size_t i = 0; i < lcores.size(); i++)
		workers_.push_back(std::make_unique<Worker>(*this, static_cast<uint16_t>(i)));
	for (uint32_t position = 0; position < plan.ops.size(); position++) {
		const Op &op = plan.ops[position];
		workers_[op.cpu % workers_.size()]->add(position, op);
	}
}

Replay::~Replay() = default;

int Replay::enter(void *replay) noexcept
{
	auto *self = static_cast<Replay *>(replay);
	for (size_t i = 0; i < self->lcores_.size(); i++) {
		if (self->lcores_[i] == rte_lcore_id())
			self->workers_[i]->run();
	}
	return 0;
}

RunResult Replay::run()
{
	for (auto &published : published_)
		published.store(0, std::memory_order_relaxed);
	std::fill(records_.begin(), records_.end(), SlotRecord());
	for (auto &worker : workers_)
		worker->reset();
	arrived_.store(0, std::memory_order_relaxed);

	{
		const Watchdog watchdog(
			kPatience, [this] { return progress(); }, [this] { give_up(); });
		// Launching orders all of the above before the workers, waiting orders them before what
		// follows.
		const int status = rte_eal_mp_remote_launch(enter, this, CALL_MAIN);
		if (status != 0)
			throw UsageError(format("cannot launch the lcores: %s", strerror(-status)));
		rte_eal_mp_wait_lcore();
	}

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
		sum += worker->position();
	return sum;
}

// On the watchdog's thread. No way back: an lcore that hangs cannot be recalled, and static objects
// that it uses must not be destroyed under it.
void Replay::give_up() const
{
	fprintf(stderr, "iovad-perf: given up: no call came to an end for %lld s\n",
		static_cast<long long>(kPatience.count()));
	for (size_t i = 0; i < workers_.size(); i++) {
		const uint32_t position = workers_[i]->position();
		if (position == kDone)
			continue;
		const Op &op = plan_.ops[position];
		const Slot &slot = plan_.slots[op.slot];
		fprintf(stderr, "iovad-perf: lcore %u is at the %s of line %u\n", lcores_[i],
			op.is_free ? "unmap" : "map", op.is_free ? slot.free_line : slot.alloc_line);
	}
	_exit(kExitWrong);
}

uint64_t Replay::free_rest()
{
	uint64_t failed = 0;
	for (uint32_t slot = 0; slot < published_.size(); slot++) {
		const uint64_t iova = published_[slot].exchange(kNothing, std::memory_order_relaxed);
		if (iova == 0 || iova == kNothing)
			continue;
		const uint64_t len = whole_granules(plan_.slots[slot].size);
		if (in_domain(iova, len))
			ownership_.release(iova, len, slot);
		failed += iovad_free(domain_, iova, len) != 0;
	}
	return failed;
}

}  // namespace iovad::perf
