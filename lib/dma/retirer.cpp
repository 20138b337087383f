// SPDX-License-Identifier: BSD-3-Clause
#include "dma/retirer.h"

#include <algorithm>
#include <array>

#include "core/clock.h"
#include "dma/held.h"
#include "dma/neighbours.h"

namespace iovad::dma {

using core::LockGuard;
using core::MappingRecord;
using core::MappingTable;
using core::Retired;
using core::RetireQueue;
using core::RetireQueues;

namespace {

constexpr unsigned kHelp = 1024;     // entries that an owner unmaps at once
constexpr unsigned kHelpRounds = 2 * RetireQueue::kEntries / kHelp;
constexpr unsigned kAtOnce = 16;     // entries looked up under one hold of the table's lock

}  // namespace

// What passes work with.
struct Retirer::Pass {
	explicit Pass(const core::Geometry &geometry) : held(geometry) {}

	std::array<uint64_t, RetireQueue::kEntries> entries;
	std::array<MappingRecord *, RetireQueue::kEntries> records;
	Held held;
};

// An owner at work, from construction to destruction.
class Retirer::Helping {
public:
	explicit Helping(Retirer &retirer) : active_(begin(retirer)) {}
	// Release pairs with wait_for_helpers().
	~Helping() { active_.fetch_sub(1, std::memory_order_release); }
	Helping(const Helping &) = delete;
	Helping &operator=(const Helping &) = delete;

private:
	static std::atomic<uint32_t> &begin(Retirer &r)
	{
		LockGuard guard(r.helpers_lock_);
		r.helpers_[r.phase_].fetch_add(1, std::memory_order_relaxed);
		return r.helpers_[r.phase_];
	}

	std::atomic<uint32_t> &active_;
};

Retirer::Retirer(core::Domain &domain, MappingTable &table, RetireQueues &queues, Removal &removal, bool inlined)
	: domain_(domain), table_(table), queues_(queues), removal_(removal), inlined_(inlined),
	  pass_(std::make_unique<Pass>(domain.geometry()))
{
}

Retirer::~Retirer() = default;

// ---- the caller's side ----

RetireQueue *Retirer::queue_of(unsigned lcore)
{
	if (lcore == core::kNoLcore)
		return &queues_.shared();
	RetireQueue *queue = by_lcore_[lcore].load(std::memory_order_relaxed);
	if (queue)
		return queue;
	queue = queues_.claim();
	if (!queue)
		return &queues_.shared();
	by_lcore_[lcore].store(queue, std::memory_order_relaxed);
	if (inlined_)
		domain_.set_retired(lcore, queue->hot());
	return queue;
}

bool Retirer::extend_and_put(RetireQueue &queue, uint64_t iova, uint64_t len)
{
	const unsigned shift = domain_.geometry().shift;
	if (queue.put(shift, iova, len))
		return true;
	const bool put = queues_.extend(queue, granules_of(iova, len)) && queue.put(shift, iova, len);
	// serve(0) closes the queues, and may have come by before this one was extended. The queue's
	// lock orders the two: either it closes after us, or we see what it said before.
	if (served_until_.load(std::memory_order_relaxed) == 0)
		queue.close();
	return put;
}

uint64_t Retirer::granules_of(uint64_t iova, uint64_t len) const
{
	const core::Geometry &g = domain_.geometry();
	return g.pfn(iova + (len - 1)) - g.pfn(iova) + 1;
}

bool Retirer::put_shared(uint64_t iova, uint64_t len)
{
	LockGuard guard(shared_lock_);
	return extend_and_put(queues_.shared(), iova, len);
}

bool Retirer::is_served() const { return core::now_ns() < served_until_.load(std::memory_order_relaxed); }

// A caller that finds no room makes some, by unmapping a batch of what it has put itself. If that is
// nothing, because others use the budget up, or if nobody serves, this entry is done at once.
bool Retirer::put(unsigned lcore, uint64_t iova, uint64_t len)
{
	// What can never be deferred is no reason to empty a queue.
	if (!RetireQueue::takes(domain_.geometry().shift, len) || granules_of(iova, len) > queues_.most())
		return false;
	RetireQueue &queue = *queue_of(lcore);
	const bool own = &queue != &queues_.shared();
	bool served = false, helped = false;
	for (unsigned round = 0; round < kHelpRounds; ++round) {
		served = is_served();
		if (!served)
			queue.close();
		else if (own ? extend_and_put(queue, iova, len) : put_shared(iova, len))
			return true;
		if (!helped)
			queues_.counters.helps.fetch_add(1, std::memory_order_relaxed);
		helped = true;
		if (help(lcore, queue) == 0)
			break;
	}
	if (!served && !told_.exchange(true, std::memory_order_relaxed))
		removal_.report(Trouble::not_served, iova, len);
	return false;
}

// Returns how many entries there were.
unsigned Retirer::help(unsigned lcore, RetireQueue &queue)
{
	const Helping helping(*this);
	uint64_t entries[kHelp];
	MappingRecord *records[kHelp];
	queues_.note_peak();
	const uint64_t now = core::now_ns();
	// Before they leave the queue, so that somebody who asks for the oldest finds them.
	queue.set_helped_since(queue.oldest(now));
	uint64_t since;
	const unsigned n = queue.take(entries, kHelp, now, since);
	const Resolved resolved = resolve({entries, n}, since, records);
	std::sort(resolved.records.begin(), resolved.records.end(),
		  [](const MappingRecord *a, const MappingRecord *b) { return iova_of(*a) < iova_of(*b); });
	const Removal::Removed gone = removal_.remove(lcore, resolved.records);
	queues_.done(static_cast<unsigned>(resolved.records.size()), resolved.granules, since, core::now_ns());
	removed(gone, resolved.records.size(), resolved.granules);
	queue.set_helped_since(UINT64_MAX);
	return n;
}

void Retirer::release_lcore(unsigned lcore)
{
	RetireQueue *queue = by_lcore_[lcore].exchange(nullptr, std::memory_order_relaxed);
	if (!queue)
		return;
	domain_.set_retired(lcore, nullptr);
	while (help(core::kNoLcore, *queue) != 0) {
	}
	queues_.release(*queue);
}

// ---- the control lcore's side ----

void Retirer::serve(uint64_t until)
{
	served_until_.store(until, std::memory_order_relaxed);
	if (until == 0)
		queues_.for_each([](RetireQueue &queue) { queue.close(); });
	else
		told_.store(false, std::memory_order_relaxed);
}

unsigned Retirer::pass(unsigned lcore)
{
	std::lock_guard guard(pass_mutex_);
	const uint64_t begin = core::now_ns(), patience = queues_.max_age() / 4;
	if (queues_.due(begin))
		take_all(lcore);
	const bool scarce = queues_.scarce();
	// Twice the time that it took recently is left for it.
	const uint64_t before = begin - (patience - std::min(patience, 2 * work_));
	if (!scarce && pass_->held.oldest() > before)
		return 0;
	const unsigned gone = remove_held(lcore, scarce ? UINT64_MAX : before);
	work_ = std::max(core::now_ns() - begin, work_ - work_ / 16);
	return gone;
}

unsigned Retirer::drain(unsigned lcore)
{
	std::lock_guard guard(pass_mutex_);
	take_all(lcore);
	const unsigned gone = remove_held(lcore, UINT64_MAX);
	wait_for_helpers();
	return gone;
}

bool Retirer::holds_back(uint64_t iova)
{
	std::lock_guard guard(pass_mutex_);
	return pass_->held.holds(iova);
}

// All that is in the queues when it comes by.
void Retirer::take_all(unsigned lcore)
{
	Held &held = pass_->held;
	queues_.note_peak();
	queues_.for_each([&](RetireQueue &queue) {
		if (!held.has_room_for_queue())
			remove_held(lcore, UINT64_MAX);
		// Before they leave the queue, so that somebody who asks for the oldest finds them.
		const uint64_t now = core::now_ns();
		queues_.set_in_work_since(std::min(held.oldest(), queue.oldest(now)));
		uint64_t since;
		const unsigned n = queue.take(pass_->entries.data(), RetireQueue::kEntries, now, since);
		held.add(resolve({pass_->entries.data(), n}, since, pass_->records).records, since);
	});
	queues_.set_in_work_since(held.oldest());
}

unsigned Retirer::remove_held(unsigned lcore, uint64_t before)
{
	const Held::Taken taken = pass_->held.take(before);
	const Removal::Removed gone = removal_.remove(lcore, taken.records);
	RetireQueues::Done done(core::now_ns(), taken.granules);
	for (const uint64_t since : taken.since)
		done.add(since);
	queues_.done(done);
	queues_.set_in_work_since(pass_->held.oldest());
	removed(gone, taken.since.size(), taken.granules);
	return gone.mappings;
}

void Retirer::removed(const Removal::Removed &gone, size_t entries, uint64_t granules)
{
	if (entries == 0)
		return;
	queues_.counters.flushes.fetch_add(1, std::memory_order_relaxed);
	if (watch_)
		watch_(static_cast<unsigned>(entries), gone.calls, domain_.geometry().bytes(granules));
}

// What leaves nothing to remove, since others use it, or it was not mapped, is done with this.
Retirer::Resolved Retirer::resolve(std::span<const uint64_t> entries, uint64_t since, std::span<MappingRecord *> room)
{
	unsigned n = 0;
	for (size_t i = 0; i < entries.size(); i += kAtOnce)
		n += end_uses(entries.subspan(i, std::min<size_t>(kAtOnce, entries.size() - i)), room.subspan(n));
	const std::span<MappingRecord *> records = room.first(n);
	uint64_t all = 0, granules = 0;
	for (const uint64_t entry : entries)
		all += Retired::of(entry).granules;
	for (const MappingRecord *record : records)
		granules += dma::granules_of(domain_.geometry(), *record);
	if (n != entries.size())
		queues_.done(static_cast<unsigned>(entries.size()) - n, all - granules, since, core::now_ns());
	return {records, granules};
}

// Ends the uses that the entries speak of. Returns how many mappings that leaves without any:
// they are in `out`, found by nobody any more.
unsigned Retirer::end_uses(std::span<const uint64_t> entries, std::span<MappingRecord *> out)
{
	const core::Geometry &g = domain_.geometry();
	Retired bad[kAtOnce];
	unsigned bad_count = 0, n = 0;
	{
		LockGuard guard(table_.lock());
		for (const uint64_t entry : entries) {
			const Retired what = Retired::of(entry);
			const MappingTable::Ended ended =
				table_.end_deferred_use(g.bytes(what.first), g.bytes(what.granules));
			if (!ended.found)
				bad[bad_count++] = what;
			if (ended.last)
				out[n++] = ended.last;
		}
	}
	queues_.counters.bad_unmaps.fetch_add(bad_count, std::memory_order_relaxed);
	for (const Retired &what : std::span(bad, bad_count))
		removal_.report(Trouble::not_mapped, g.bytes(what.first), g.bytes(what.granules));
	return n;
}

// Whoever began to help before this was called has ended.
void Retirer::wait_for_helpers()
{
	unsigned before;
	{
		LockGuard guard(helpers_lock_);
		before = phase_;
		phase_ ^= 1;
	}
	// Acquire pairs with ~Helping().
	while (helpers_[before].load(std::memory_order_acquire) != 0)
		sched_yield();
}

}  // namespace iovad::dma
