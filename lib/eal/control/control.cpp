// SPDX-License-Identifier: BSD-3-Clause
#include "eal/control/control.h"

#include <algorithm>
#include <atomic>
#include <new>

#include <rte_cycles.h>
#include <rte_lcore.h>

#include "core/clock.h"
#include "eal/bounce/registry.h"
#include "eal/control/log2_histogram.h"
#include "eal/control/service.h"
#include "eal/control/thread.h"
#include "eal/domain/registry.h"
#include "eal/ethdev/bounce.h"
#include "eal/log/outcome.h"
#include "eal/log/trace_points.h"
#include "eal/still_holds.h"

namespace iovad::eal {

using core::now_ns;

namespace {

constexpr uint64_t kLeastIntervalUs = 50, kMostIntervalUs = 10'000;
constexpr uint64_t kLeastServiceNs = 100'000'000;  // lcores defer so long after a pass, at least
constexpr uint64_t kPollSeenNs = 1'000'000'000;

constexpr auto kRelaxed = std::memory_order_relaxed;

// Written in a pass, but what is said otherwise.
struct Statistics {
	std::atomic<uint64_t> skipped;  // by those that did not get in
	std::atomic<uint64_t> items;
	std::atomic<uint64_t> last_pass_ns, last_poll_ns;
	std::atomic<uint64_t> mapping_ns, nodes_ns, trim_ns, bounce_ns;
	Log2Histogram passes;
};
Statistics statistics;

std::atomic<uint64_t> interval_us = kMostIntervalUs;
constexpr uint64_t kAtOnce = 0, kInAPass = 1;  // long ago, both
std::atomic<uint64_t> due_tsc = kAtOnce;

// Adds to the statistics how long it existed.
class Stopwatch {
public:
	explicit Stopwatch(std::atomic<uint64_t> &sum) : sum_(sum) {}
	~Stopwatch() { sum_.fetch_add(now_ns() - begin_, kRelaxed); }
	Stopwatch(const Stopwatch &) = delete;
	Stopwatch &operator=(const Stopwatch &) = delete;

private:
	std::atomic<uint64_t> &sum_;
	const uint64_t begin_ = now_ns();
};

bool is_there(const iovad_domain &d)
{
	return still_holds(&d.shared->magic, &SharedDomain::kMagic, sizeof SharedDomain::kMagic);
}

uint64_t interval_of(const iovad_domain &d)
{
	return d.mapper ? std::clamp(d.shared->lazy_max_age_us / 4, kLeastIntervalUs, kMostIntervalUs) : kMostIntervalUs;
}

unsigned serve_mappings(iovad_domain &d)
try {
	if (!d.mapper)
		return 0;
	const Stopwatch stopwatch(statistics.mapping_ns);
	d.mapper->serve(now_ns() + std::max(4 * 1000 * d.shared->lazy_max_age_us, kLeastServiceNs));
	return d.mapper->pass(rte_lcore_id());
} catch (const std::bad_alloc &) {
	return 0;  // the next one will do it
}

unsigned add_nodes(iovad_domain &d, uint64_t now)
{
	const Stopwatch stopwatch(statistics.nodes_ns);
	return d.upkeep.add_nodes(d.core, *d.memory, d.log, now);
}

unsigned trim(iovad_domain &d, uint64_t now)
{
	const Stopwatch stopwatch(statistics.trim_ns);
	return d.upkeep.trim(d.core, now);
}

unsigned bury(iovad_domain &d, uint64_t now)
try {
	const Stopwatch stopwatch(statistics.trim_ns);
	return d.upkeep.bury(d.core, *d.shared, d.log, now);
} catch (const std::bad_alloc &) {
	return 0;  // as above
}

// Until the domains want the next pass.
unsigned serve_bounce(uint64_t end)
{
	const Stopwatch stopwatch(statistics.bounce_ns);
	return serve_bounce_pools(is_there, now_ns(), end);
}

unsigned serve(iovad_domain &d)
{
	const uint64_t now = now_ns();
	const unsigned items = serve_mappings(d) + add_nodes(d, now) + trim(d, now) + bury(d, now);
	d.log.settle(now);
	return items;
}

void make_last_pass(iovad_domain &d, bool served_on)
try {
	if (!d.mapper)
		return;
	if (!served_on)
		d.mapper->serve(0);
	const dma::Outcome o = d.mapper->drain(rte_lcore_id());
	if (!o.ok())
		log_outcome(d.shared->name, "some of what was deferred could not be unmapped", o);
} catch (const std::bad_alloc &) {
	log_outcome(d.shared->name, "not all that was deferred could be unmapped", {core::Status::no_memory});
}

template <class Use> void for_each_there(const DomainsInUse &domains, Use use)
{
	domains.for_each_created([&](iovad_domain &d) {
		if (is_there(d))
			use(d);
	});
}

// Acquire pairs with control_hurry(): this pass serves what it was called for.
void begin_pass() { due_tsc.exchange(kInAPass, std::memory_order_acquire); }

void schedule(uint64_t begin_tsc, uint64_t us)
{
	interval_us.store(us, kRelaxed);
	// Not over kAtOnce: whoever hurried meanwhile may want what this pass had already passed by.
	uint64_t was = kInAPass;
	due_tsc.compare_exchange_strong(was, begin_tsc + us * rte_get_tsc_hz() / 1'000'000, kRelaxed);
}

}  // namespace

unsigned control_pass(Runner runner)
{
	const uint64_t begin = now_ns(), begin_tsc = rte_get_tsc_cycles();
	if (runner == Runner::poll)
		statistics.last_poll_ns.store(begin, kRelaxed);
	serve_ethdev_bounce(begin);
	const DomainsInUse domains(std::try_to_lock);
	if (!domains) {
		statistics.skipped.fetch_add(1, kRelaxed);
		return 0;
	}
	begin_pass();
	unsigned items = 0;
	uint64_t interval = kMostIntervalUs;
	for_each_there(domains, [&](iovad_domain &d) {
		items += serve(d);
		interval = std::min(interval, interval_of(d));
	});
	items += serve_bounce(begin + 1000 * interval);
	interval = std::min(interval, bounce_interval_us());
	const uint64_t ns = now_ns() - begin;
	statistics.items.fetch_add(items, kRelaxed);
	statistics.passes.record(ns);
	statistics.last_pass_ns.store(begin, kRelaxed);
	schedule(begin_tsc, interval);
	trace::control_pass(items, ns);
	return items;
}

uint64_t control_interval_us() { return interval_us.load(kRelaxed); }

bool control_due() { return rte_get_tsc_cycles() >= due_tsc.load(kRelaxed); }

void control_hurry()
{
	due_tsc.store(kAtOnce, std::memory_order_release);
	control_thread_hurry();
}

void control_last_pass(bool served_on)
{
	const DomainsInUse domains;
	for_each_there(domains, [served_on](iovad_domain &d) { make_last_pass(d, served_on); });
}

ControlReport control_report()
{
	const uint64_t last_pass = statistics.last_pass_ns.load(kRelaxed), last_poll = statistics.last_poll_ns.load(kRelaxed);
	const uint64_t now = now_ns();  // last: a pass may run meanwhile
	const Log2Histogram &passes = statistics.passes;
	return {
		.thread = control_thread_runs(),
		.service = control_service_runs(),
		.poll = last_poll != 0 && now - last_poll < kPollSeenNs,
		.passes = passes.count(),
		.skipped = statistics.skipped.load(kRelaxed),
		.items = statistics.items.load(kRelaxed),
		.last_pass_age_us = last_pass == 0 ? UINT64_MAX : (now - last_pass) / 1000,
		.pass_p50_ns = passes.percentile(50),
		.pass_p99_ns = passes.percentile(99),
		.pass_max_ns = passes.max(),
		.mapping_ns = statistics.mapping_ns.load(kRelaxed),
		.nodes_ns = statistics.nodes_ns.load(kRelaxed),
		.trim_ns = statistics.trim_ns.load(kRelaxed),
		.bounce_ns = statistics.bounce_ns.load(kRelaxed),
	};
}

}  // namespace iovad::eal
