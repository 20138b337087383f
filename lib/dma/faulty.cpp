// SPDX-License-Identifier: BSD-3-Clause
#include "dma/faulty.h"

namespace iovad::dma {

namespace {

unsigned index(FaultyBackend::Call call) { return static_cast<unsigned>(call); }

}  // namespace

Outcome FaultyBackend::info(Info &out)
{
	return pass(Call::info, [&] { return other_.info(out); });
}

Outcome FaultyBackend::map(uint64_t iova, void *va, uint64_t len, uint32_t dir)
{
	return pass(Call::map, [&] { return other_.map(iova, va, len, dir); });
}

Outcome FaultyBackend::unmap(uint64_t iova, uint64_t len, uint64_t mapped)
{
	return pass(Call::unmap, [&] { return other_.unmap(iova, len, mapped); });
}

template <class Work> Outcome FaultyBackend::pass(Call call, Work work)
{
	const Plan plan = enter(call);
	stand(plan, When::before);
	Outcome outcome;
	if (!plan.fails || plan.fails_when == When::after)
		outcome = work();
	stand(plan, When::after);
	// What failed by itself keeps its own outcome.
	return plan.fails && outcome.ok() ? plan.outcome : outcome;
}

FaultyBackend::Plan FaultyBackend::enter(Call call)
{
	const std::lock_guard guard(mutex_);
	const uint64_t of_kind = ++calls_[index(call)];
	const uint64_t of_all = ++calls_[index(Call::any)];
	Plan plan;
	for (const Rule &rule : holding_) {
		if (rule.hits(call, of_kind, of_all)) {
			plan.holds = true;
			plan.holds_when = rule.when;
		}
	}
	for (const Rule &rule : failing_) {
		if (!plan.fails && rule.hits(call, of_kind, of_all)) {
			plan.fails = true;
			plan.fails_when = call == Call::unmap ? rule.when : When::before;
			plan.outcome = rule.outcome;
		}
	}
	failures_ += plan.fails;
	return plan;
}

void FaultyBackend::stand(const Plan &plan, When when)
{
	if (!plan.holds || plan.holds_when != when)
		return;
	std::unique_lock lock(mutex_);
	// Released before it came here: goes on.
	if (holding_.empty())
		return;
	held_ = true;
	changed_.notify_all();
	changed_.wait(lock, [&] { return holding_.empty(); });
	held_ = false;
	changed_.notify_all();
}

FaultyBackend::Rule FaultyBackend::rule(Call call, uint64_t nth, uint64_t times, When when,
					const Outcome &outcome) const
{
	const uint64_t first = calls_[index(call)] + nth;
	return {call, first, times > kForever - first ? kForever : first + times, when, outcome};
}

void FaultyBackend::fail(Call call, uint64_t nth, const Outcome &outcome, uint64_t times, When when)
{
	const std::lock_guard guard(mutex_);
	failing_.push_back(rule(call, nth, times, when, outcome));
}

void FaultyBackend::heal()
{
	const std::lock_guard guard(mutex_);
	failing_.clear();
}

void FaultyBackend::hold(Call call, uint64_t nth, When when)
{
	const std::lock_guard guard(mutex_);
	holding_.assign(1, rule(call, nth, 1, when, {}));
}

bool FaultyBackend::wait_held(std::chrono::milliseconds limit)
{
	std::unique_lock lock(mutex_);
	return changed_.wait_for(lock, limit, [&] { return held_; });
}

void FaultyBackend::release()
{
	std::unique_lock lock(mutex_);
	holding_.clear();
	changed_.notify_all();
	// Until it has gone, so that the next hold() cannot catch it again.
	changed_.wait(lock, [&] { return !held_; });
}

uint64_t FaultyBackend::calls(Call call) const
{
	const std::lock_guard guard(mutex_);
	return calls_[index(call)];
}

uint64_t FaultyBackend::failures() const
{
	const std::lock_guard guard(mutex_);
	return failures_;
}

}  // namespace iovad::dma
