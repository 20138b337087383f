// SPDX-License-Identifier: BSD-3-Clause
#include "soak/conductor.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <new>

#include <unistd.h>

#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_memzone.h>

#include <iovad/iovad_control.h>
#include <iovad/iovad_soft.h>

#include "errors.h"
#include "measure/watchdog.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr const char *kDomain = "soak";
constexpr uint64_t kMaxRanges = 2048;  // few: the tree is to grow
constexpr uint64_t kPoolBytes = 32 << 20;
constexpr std::chrono::seconds kPatience{60};
// What dies with a process, at most: the call it was in, a run taken ahead, and magazines in its hands.
constexpr uint64_t kLostWithOne = 512;

iovad_domain_conf domain_conf()
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = kDomain;
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.granule = kSoakGranule;
	conf.iova_last = kSoakLast;
	conf.max_ranges = kMaxRanges;
	conf.unmap_policy = IOVAD_UNMAP_LAZY;
	return conf;
}

Board &make_board(unsigned seed)
{
	const rte_memzone *const zone = rte_memzone_reserve_aligned(Board::kZone, sizeof(Board), SOCKET_ID_ANY, 0, 64);
	if (zone == nullptr)
		throw UsageError(format("no memory for what workers share: %s", rte_strerror(rte_errno)));
	auto *const board = new (zone->addr) Board();
	board->seed = seed;
	snprintf(board->domain, sizeof board->domain, "%s", kDomain);
	return *board;
}

iovad_bounce_pool *make_pool(iovad_domain *domain, const char *name, uint32_t flags, uint64_t limit)
{
	iovad_bounce_conf conf;
	iovad_bounce_conf_init(&conf);
	conf.name = name;
	conf.domain = domain;
	conf.max_bytes = kPoolBytes;
	conf.flags = flags;
	conf.limit = limit;
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&conf);
	if (pool == nullptr)
		throw UsageError(format("cannot create a bounce pool: %s", rte_strerror(rte_errno)));
	return pool;
}

void nap() { std::this_thread::sleep_for(std::chrono::microseconds(500)); }

}  // namespace

// What one worker is given to do.
struct Conductor::Part {
	MappingWorker *worker;
	Seat *seat;
	uint64_t steps;

	void play() noexcept
	{
		worker->run(steps);
		seat->phase.store(Seat::done, std::memory_order_release);
	}
};

struct Conductor::Sums {
	uint64_t ranges = 0, reserved = 0;
	std::vector<const Holding *> holdings;
};

Conductor::Conductor(const EalArguments &eal, const SoakOptions &options, const std::vector<unsigned> &lcores,
		     unsigned visitors, const std::atomic<bool> &ended)
	: options_(options), lcores_(lcores), ended_(ended), board_(make_board(options.seed)), domain_(domain_conf()),
	  visitors_(eal, board_, domain_.get(), static_cast<unsigned>(lcores.size()) + options.threads, visitors,
		    options.kill_every_ms)
{
	pools_.push_back(make_pool(domain_.get(), "soak-32", 0, UINT32_MAX));
	pools_.push_back(make_pool(domain_.get(), "soak", IOVAD_BOUNCE_F_TRANSIENT, UINT64_MAX));
	for (unsigned i = 0; i < lcores.size() + options.threads; i++)
		workers_.push_back(std::make_unique<MappingWorker>(domain_.get(), board_, i, pools_, options.fault_every != 0));
	before_ = domain_.stats();
	iovad_soft_fail_every(domain_.get(), options.fault_every);
}

Conductor::~Conductor() = default;

void Conductor::run(SoakReport &report)
{
	report_ = &report;
	const Watchdog watchdog(kPatience, [this] { return progress(); }, [this] { give_up(); });
	start();
	write_header(stdout);
	SoakState last;
	while (!over()) {
		tend_until(clock::now() + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(options_.interval)));
		halt();
		check();
		const SoakState now = state();
		write_line(stdout, now, last);
		last = now;
		go_on();
	}
	finish();
}

void Conductor::start()
{
	for (size_t i = 0; i < workers_.size(); i++) {
		board_.seat[i].phase.store(Seat::working, std::memory_order_relaxed);
		parts_.push_back({workers_[i].get(), &board_.seat[i], options_.ops});
	}
	for (size_t i = 0; i < lcores_.size(); i++) {
		const auto play = [](void *part) { return static_cast<Part *>(part)->play(), 0; };
		if (const int status = rte_eal_remote_launch(play, &parts_[i], lcores_[i]); status != 0)
			throw UsageError(format("cannot launch lcore %u: %s", lcores_[i], strerror(-status)));
	}
	for (size_t i = lcores_.size(); i < workers_.size(); i++) {
		threads_.emplace_back([this, i] {
			// EAL has registered threads or secondary processes, not both.
			const bool registered = i % 2 == 0 && report_->visitors == 0 && rte_thread_register() == 0;
			parts_[i].play();
			if (registered)
				rte_thread_unregister();
		});
	}
}

bool Conductor::over() const
{
	if (ended_.load(std::memory_order_relaxed) || (options_.seconds != 0 && seconds() >= options_.seconds))
		return true;
	return std::all_of(parts_.begin(), parts_.end(), [](const Part &part) {
		return part.seat->phase.load(std::memory_order_relaxed) == Seat::done;
	});
}

void Conductor::tend_until(clock::time_point at)
{
	while (clock::now() < at && !over()) {
		visitors_.tend();
		turns_.fetch_add(1, std::memory_order_relaxed);
		nap();
	}
}

void Conductor::halt()
{
	const uint64_t halt = board_.halt.fetch_add(1, std::memory_order_acq_rel) + 1;
	for (Seat &seat : board_.seat) {
		while (seat.phase.load(std::memory_order_acquire) == Seat::working &&
		       seat.standing.load(std::memory_order_acquire) != halt) {
			visitors_.reap();
			nap();
		}
	}
}

void Conductor::go_on() { board_.halt.fetch_add(1, std::memory_order_acq_rel); }

// ---- while all stand ----

void Conductor::wrong(const char *what, uint64_t is, uint64_t should_be)
{
	fprintf(stderr, "iovad-perf: %s: %" PRIu64 ", and should be %" PRIu64 "\n", what, is, should_be);
	report_->accounting++;
}

void Conductor::check()
{
	report_->checks++;
	turns_.fetch_add(1, std::memory_order_relaxed);
	if (const int status = iovad_flush(domain_.get()); status != 0 && (status != -EIO || options_.fault_every == 0))
		wrong("status of iovad_flush()", static_cast<uint64_t>(-status), 0);
	report_->verify_failures += !domain_.verify();
	for (iovad_bounce_pool *pool : pools_)
		report_->verify_failures += iovad_bounce_verify(pool, stderr) != 0;
	const iovad_domain_stats stats = domain_.stats();
	compare(stats);
	for (const auto &worker : workers_)
		worker->check(stats.quarantined_ranges == 0);
}

Conductor::Sums Conductor::owned() const
{
	Sums sums;
	for (const Seat &seat : board_.seat) {
		for (const Holding &h : seat.holding) {
			if (h.state.load(std::memory_order_relaxed) != Holding::held)
				continue;
			sums.holdings.push_back(&h);
			if (h.kind == Holding::reserved)
				sums.reserved += h.len;
			else
				sums.ranges++;
		}
	}
	return sums;
}

void Conductor::count_overlaps(std::vector<const Holding *> &owned)
{
	std::sort(owned.begin(), owned.end(), [](const Holding *a, const Holding *b) { return a->iova < b->iova; });
	for (size_t i = 1; i < owned.size(); i++) {
		if (owned[i - 1]->iova + owned[i - 1]->len <= owned[i]->iova)
			continue;
		fprintf(stderr, "iovad-perf: 0x%" PRIx64 " is owned twice\n", owned[i]->iova);
		report_->counts.double_owned++;
	}
}

// What nobody owns, and the domain says is live, died with a process: it may be less than before, since what a
// process had in its hands is found again where possible, and more only where one was killed.
void Conductor::compare(const iovad_domain_stats &stats)
{
	Sums sums = owned();
	count_overlaps(sums.holdings);
	const auto bytes = [](const iovad_domain_stats &s) {
		return s.live_bytes + s.cached_bytes + s.free_bytes + s.reserved_bytes;
	};
	if (bytes(stats) != bytes(before_))
		wrong("bytes of the domain", bytes(stats), bytes(before_));
	const uint64_t killed = visitors_.kills() - kills_;
	const auto compare_one = [&](const char *what, uint64_t is, uint64_t owned, uint64_t &lost, uint64_t lost_with_one) {
		if (is < owned || is > owned + lost + killed * lost_with_one)
			wrong(what, is, owned + lost);
		lost = is - std::min(is, owned);
	};
	compare_one("live ranges", stats.live_ranges,
		    before_.live_ranges + sums.ranges + stats.deferred_ranges + stats.quarantined_ranges, lost_, kLostWithOne);
	compare_one("reserved bytes", stats.reserved_bytes, before_.reserved_bytes + sums.reserved, lost_reserved_,
		    16 * kSoakGranule);
	kills_ = visitors_.kills();
}

SoakState Conductor::state() const
{
	const iovad_domain_stats stats = domain_.stats();
	SoakState s;
	s.seconds = seconds();
	s.steps = visitors_.counts().steps;
	for (const Seat &seat : board_.seat)
		s.steps += seat.steps.load(std::memory_order_relaxed);
	s.live = stats.live_ranges;
	s.cached = stats.cached_ranges;
	s.deferred = stats.deferred_ranges;
	s.quarantined = stats.quarantined_ranges;
	s.faults = iovad_soft_failures(domain_.get());
	s.visits = visitors_.visits();
	s.kills = visitors_.kills();
	s.lost = lost_;
	for (iovad_bounce_pool *pool : pools_) {
		iovad_bounce_stats pool_stats;
		iovad_bounce_stats_get(pool, &pool_stats);
		s.bounce_bytes += pool_stats.size_bytes;
	}
	return s;
}

// ---- the end ----

void Conductor::finish()
{
	board_.stop.store(true, std::memory_order_relaxed);
	visitors_.end();
	for (const unsigned lcore : lcores_)
		rte_eal_wait_lcore(lcore);
	threads_.clear();
	check();
	iovad_soft_fail_every(domain_.get(), 0);
	for (const auto &worker : workers_)
		worker->give_back();
	if (!settle_quarantine())
		wrong("ranges in quarantine when nothing fails any more", domain_.stats().quarantined_ranges, 0);
	check();
	report_->end = state();
	report_->left = domain_.stats().live_ranges - before_.live_ranges - lost_;
	report_->tree_grows = domain_.stats().grows;
	report_->inherited = visitors_.inherited();
	report_->counts.add(visitors_.counts());
	for (size_t i = 0; i < workers_.size(); i++)
		report_->counts.add(board_.seat[i].counts);
	for (iovad_bounce_pool *pool : pools_) {
		iovad_bounce_stats stats;
		iovad_bounce_stats_get(pool, &stats);
		report_->pool_grows += stats.grows;
		report_->pool_shrinks += stats.shrinks;
		if (const int status = iovad_bounce_pool_destroy(pool); status != 0)
			wrong("status of iovad_bounce_pool_destroy()", static_cast<uint64_t>(-status), 0);
	}
	workers_.clear(); // with their devices
	// What was lost keeps it from being destroyed.
	if (lost_ == 0 && !domain_.destroy())
		wrong("destroyed domains", 0, 1);
}

bool Conductor::settle_quarantine()
{
	const clock::time_point end = clock::now() + kPatience / 2;
	do {
		turns_.fetch_add(1, std::memory_order_relaxed);
		iovad_flush(domain_.get());
		if (domain_.stats().quarantined_ranges == 0)
			return true;
		nap();
	} while (clock::now() < end);
	return false;
}

// ---- where nothing moves any more ----

uint64_t Conductor::progress() const
{
	uint64_t sum = turns_.load(std::memory_order_relaxed) + board_.halt.load(std::memory_order_relaxed);
	// Not of those that go on while all others have to stand.
	for (const Seat &seat : board_.seat)
		sum += seat.steps.load(std::memory_order_relaxed);
	return sum;
}

void Conductor::give_up() const
{
	fprintf(stderr, "iovad-perf: given up: nothing moved for %lld s\n", static_cast<long long>(kPatience.count()));
	for (size_t i = 0; i < workers_.size(); i++) {
		const char *const what = board_.seat[i].doing.load(std::memory_order_relaxed);
		fprintf(stderr, "iovad-perf: worker %zu: %s, after %" PRIu64 " steps\n", i, what ? what : "not begun",
			board_.seat[i].steps.load(std::memory_order_relaxed));
	}
	fprintf(stderr, "iovad-perf: %" PRIu64 " secondary processes were killed\n", visitors_.kills());
	_exit(kExitWrong);
}

}  // namespace iovad::perf
