// SPDX-License-Identifier: BSD-3-Clause
#include "dma/removal.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"

namespace iovad::dma {

using core::LockGuard;
using core::Mapping;
using core::MappingRecord;

namespace {

constexpr unsigned kAtOnce = 32;  // under one hold of the table's lock

void count(std::atomic<uint64_t> &counter, uint64_t n = 1) { counter.fetch_add(n, std::memory_order_relaxed); }

uint64_t iova_of(const MappingRecord *r) { return r->iova.load(std::memory_order_relaxed); }
uint64_t end_of(const MappingRecord *r) { return iova_of(r) + r->len.load(std::memory_order_relaxed); }

}  // namespace

Removal::Removal(core::Domain &domain, core::MappingTable &table, Backend &backend)
	: domain_(domain), table_(table), backend_(backend), quarantine_(table.counters)
{
}

void Removal::quarantine(MappingRecord *record) { quarantine_.add(record, core::now_ns()); }

void Removal::report(Trouble trouble, uint64_t iova, uint64_t len, const Outcome &o) const noexcept
try {
	if (report_)
		report_(trouble, iova, len, o);
} catch (...) {
	// No memory for what it says: the mappings that it speaks of must not be lost for that.
}

// Mappings whose addresses touch: all that was allocated for them, which may be more than was
// mapped (a power of two of granules; what aligns them), and is nobody else's.
size_t Removal::length_of_run(Records records) const
{
	const core::Geometry &g = domain_.geometry();
	const auto allocated_end = [&](const MappingRecord *r) {
		return r->cached ? iova_of(r) + g.bytes(core::block_of(g.pfn(end_of(r) - iova_of(r)))) : end_of(r);
	};
	size_t n = 1;
	while (n < records.size() &&
	       iova_of(records[n]) - g.bytes(records[n]->padding) == allocated_end(records[n - 1]))
		++n;
	return n;
}

// What a backend throws (no memory, for what it says of a failure) must not lose the mappings.
Outcome Removal::unmap(Records run)
{
	const uint64_t iova = iova_of(run.front());
	uint64_t mapped = 0;
	for (const MappingRecord *record : run)
		mapped += end_of(record) - iova_of(record);
	Outcome o;
	try {
		o = backend_.unmap(iova, end_of(run.back()) - iova, mapped);
	} catch (...) {
		o = {Status::no_memory, 0, "no memory in the backend"};
	}
	count(o.ok() ? table_.counters.unmaps : table_.counters.errors);
	if (o.ok())
		count(table_.counters.unmapped, run.size());
	return o;
}

Outcome Removal::uninstall(MappingRecord *record)
{
	const Outcome o = unmap({&record, 1});
	if (o.ok())
		return {};
	quarantine(record);
	return {Status::failed, o.error, o.advice};
}

Outcome Removal::remove(unsigned lcore, MappingRecord *record)
{
	if (!record->installed) {
		if (const Outcome o = uninstall(record); !o.ok())
			return o;
	}
	give_back(lcore, {&record, 1});
	return {};
}

Removal::Removed Removal::remove(unsigned lcore, Records records)
{
	std::sort(records.begin(), records.end(),
		  [](const MappingRecord *a, const MappingRecord *b) { return iova_of(a) < iova_of(b); });
	Removed removed;
	for (size_t begin = 0; begin < records.size();) {
		const Records run = records.subspan(begin, length_of_run(records.subspan(begin)));
		remove_run(run, records, removed);
		begin += run.size();
	}
	give_back(lcore, records.first(removed.mappings));
	return removed;
}

// Those that are gone move to the front of all, where those before them made room or are gone too.
void Removal::remove_run(Records run, Records all, Removed &removed)
{
	if (run.size() > 1) {
		++removed.calls;
		if (unmap(run).ok()) {
			std::copy(run.begin(), run.end(), all.begin() + removed.mappings);
			removed.mappings += static_cast<unsigned>(run.size());
			return;
		}
	}
	for (MappingRecord *&record : run) {
		++removed.calls;
		const Outcome o = unmap({&record, 1});
		if (o.ok()) {
			all[removed.mappings++] = record;
			continue;
		}
		const Mapping m = record->mapping();
		quarantine(record);
		report(Trouble::unmap_failed, m.iova, m.len, o);
	}
}

void Removal::give_back(unsigned lcore, Records gone)
{
	const size_t all = gone.size();
	free_addresses(lcore, gone);
	while (!gone.empty()) {
		const Records some = gone.first(std::min<size_t>(gone.size(), kAtOnce));
		LockGuard guard(table_.lock());
		for (MappingRecord *record : some)
			table_.give_back(record);
		gone = gone.subspan(some.size());
	}
	given_back_.fetch_add(all, std::memory_order_release);
}

// Sorted, so that magazines get addresses in a row, which are handed out, and come back, in a row.
void Removal::free_addresses(unsigned lcore, Records gone)
{
	const core::Geometry &g = domain_.geometry();
	for (size_t i = 0; i < gone.size();) {
		const MappingRecord &first = *gone[i];
		const uint64_t len = first.mapping().len;
		if (first.in_window) {
			++i;
			continue;
		}
		if (!first.cached) {
			const uint64_t padding = g.bytes(first.padding);
			domain_.free_range(iova_of(&first) - padding, padding + len);
			++i;
			continue;
		}
		uint64_t iovas[kAtOnce];
		unsigned n = 0;
		for (; i < gone.size() && n < kAtOnce && gone[i]->cached && gone[i]->mapping().len == len; ++i)
			iovas[n++] = iova_of(gone[i]);
		domain_.free_bulk(lcore, iovas, len, n);
	}
}

unsigned Removal::retry_due(unsigned lcore, uint64_t now)
{
	return retry(lcore, [this, now] { return quarantine_.take_due(now); });
}

unsigned Removal::retry_all(unsigned lcore)
{
	return retry(lcore, [this] { return quarantine_.take_all(); });
}

template <class Take> unsigned Removal::retry(unsigned lcore, Take take)
{
	std::lock_guard guard(retry_mutex_);
	unsigned gone = 0;
	for (MappingRecord *list = take(); list;) {
		MappingRecord *record = std::exchange(list, list->next);
		const Mapping m = record->mapping();
		const unsigned tries = record->tries + 1;  // it is not ours after the call
		const Outcome o = remove(lcore, record);
		count(table_.counters.retries);
		gone += o.ok();
		if (!o.ok() && tries == Quarantine::kTriesReported)
			report(Trouble::still_quarantined, m.iova, m.len, o);
	}
	return gone;
}

}  // namespace iovad::dma
