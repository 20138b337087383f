// SPDX-License-Identifier: BSD-3-Clause
#include "dma/removal.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/clock.h"
#include "dma/neighbours.h"

namespace iovad::dma {

using core::LockGuard;
using core::Mapping;
using core::MappingRecord;

namespace {

constexpr unsigned kAtOnce = 32;  // under one hold of the table's lock
constexpr unsigned kRuns = 256;   // in one call of the backend
constexpr unsigned kRow = 32;     // fewer side by side are better left to the tree

void count(std::atomic<uint64_t> &counter, uint64_t n = 1) { counter.fetch_add(n, std::memory_order_relaxed); }

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

size_t Removal::length_of_run(Records records) const
{
	size_t n = 1;
	while (n < records.size() && are_neighbours(domain_.geometry(), *records[n - 1], *records[n]))
		++n;
	return n;
}

Backend::Run Removal::run_of(Records run) const
{
	const uint64_t iova = iova_of(*run.front());
	uint64_t mapped = 0;
	for (const MappingRecord *record : run)
		mapped += end_of(*record) - iova_of(*record);
	return {iova, end_of(*run.back()) - iova, mapped};
}

namespace {

// What a backend throws (no memory, for what it says of a failure) must not lose the mappings.
Backend::Unmapped ask(Backend &backend, std::span<const Backend::Run> runs)
try {
	return backend.unmap_runs(runs);
} catch (...) {
	return {0, 0, {Status::no_memory, 0, "no memory in the backend"}};
}

}  // namespace

Outcome Removal::unmap(MappingRecord *record)
{
	const Backend::Run run = run_of({&record, 1});
	const Outcome o = ask(backend_, {&run, 1}).why;
	count(o.ok() ? table_.counters.unmaps : table_.counters.errors);
	if (o.ok()) {
		count(table_.counters.unmapped_runs);
		count(table_.counters.unmapped);
	}
	return o;
}

Outcome Removal::uninstall(MappingRecord *record)
{
	const Outcome o = unmap(record);
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
	Removed removed;
	for (Records left = records; !left.empty();)
		left = left.subspan(remove_runs(left, records, removed));
	give_back(lcore, records.first(removed.mappings));
	return removed;
}

// Returns with how many, from the front, it is done. Those that are gone move to the front of all,
// where those before them made room or are gone too.
size_t Removal::remove_runs(Records records, Records all, Removed &removed)
{
	Backend::Run runs[kRuns];
	size_t ends[kRuns], n = 0, end = 0;
	for (; n < kRuns && end < records.size(); ++n) {
		const size_t length = length_of_run(records.subspan(end));
		runs[n] = run_of(records.subspan(end, length));
		ends[n] = end += length;
	}
	const Backend::Unmapped done = ask(backend_, {runs, n});
	const Records gone = records.first(done.runs == 0 ? 0 : ends[done.runs - 1]);
	std::copy(gone.begin(), gone.end(), all.begin() + removed.mappings);
	removed.mappings += static_cast<unsigned>(gone.size());
	removed.calls += done.calls + (done.runs < n);
	count(table_.counters.unmaps, done.calls);
	count(table_.counters.unmapped_runs, done.runs);
	count(table_.counters.unmapped, gone.size());
	if (done.runs == n)
		return end;
	count(table_.counters.errors);
	// To ask for the rest would take as long again.
	if (done.why.error == ETIMEDOUT) {
		failed(records.subspan(gone.size()), done.why);
		return records.size();
	}
	remove_each(records.subspan(gone.size(), ends[done.runs] - gone.size()), done.why, all, removed);
	return ends[done.runs];
}

// Of a run that failed for that reason.
void Removal::remove_each(Records run, const Outcome &why, Records all, Removed &removed)
{
	if (run.size() == 1)
		return failed(run, why);
	for (MappingRecord *&record : run) {
		++removed.calls;
		const Outcome o = unmap(record);
		if (o.ok())
			all[removed.mappings++] = record;
		else
			failed({&record, 1}, o);
	}
}

void Removal::failed(Records records, const Outcome &why)
{
	for (MappingRecord *record : records) {
		const Mapping m = record->mapping();
		quarantine(record);
		report(Trouble::unmap_failed, m.iova, m.len, why);
	}
}

void Removal::give_back(unsigned lcore, Records gone)
{
	const size_t all = gone.size();
	if (gone_) {
		for (const MappingRecord *record : gone)
			gone_(iova_of(*record));
	}
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
// Short rows are left to the tree, where they grow together: in magazines they would stay apart for
// ever. But not many, since what the tree hands out costs more.
void Removal::free_addresses(unsigned lcore, Records gone)
{
	const core::Geometry &g = domain_.geometry();
	size_t to_tree = gone.size() / 2;
	while (!gone.empty()) {
		const MappingRecord &first = *gone.front();
		const uint64_t len = first.mapping().len;
		if (!first.cached) {
			const uint64_t padding = g.bytes(first.padding);
			if (!first.in_window)
				domain_.free_range(iova_of(first) - padding, padding + len);
			gone = gone.subspan(1);
			continue;
		}
		uint64_t iovas[kRow];
		const size_t n = length_of_row(gone);
		for (size_t i = 0; i < n; ++i)
			iovas[i] = iova_of(*gone[i]);
		if (n < kRow && n <= to_tree) {
			to_tree -= n;
			domain_.free_to_tree(iovas, len, static_cast<unsigned>(n));
		} else {
			domain_.free_bulk(lcore, iovas, len, static_cast<unsigned>(n));
		}
		gone = gone.subspan(n);
	}
}

// Cached ones of one length, side by side; up to kRow.
size_t Removal::length_of_row(Records records) const
{
	size_t n = 1;
	while (n < std::min<size_t>(records.size(), kRow) && records[n]->cached &&
	       records[n]->mapping().len == records[0]->mapping().len &&
	       are_neighbours(domain_.geometry(), *records[n - 1], *records[n]))
		++n;
	return n;
}

unsigned Removal::retry_due(unsigned lcore, uint64_t now)
{
	const std::lock_guard guard(retry_mutex_);
	return retry(lcore, quarantine_.take_due(now));
}

// Asked before others may take it for a try.
bool Removal::retry_all(unsigned lcore)
{
	const std::lock_guard guard(retry_mutex_);
	retry(lcore, quarantine_.take_all());
	return quarantine_.empty();
}

// With retry_mutex_ held.
unsigned Removal::retry(unsigned lcore, MappingRecord *list)
{
	unsigned gone = 0;
	bool stuck = false;
	while (list) {
		MappingRecord *record = std::exchange(list, list->next);
		if (stuck) {
			quarantine_.put_back(record);
			continue;
		}
		const Mapping m = record->mapping();
		const unsigned tries = record->tries + 1;  // it is not ours after the call
		const Outcome o = remove(lcore, record);
		count(table_.counters.retries);
		gone += o.ok();
		stuck = o.error == ETIMEDOUT;  // the next would take as long
		if (!o.ok() && tries == Quarantine::kTriesReported)
			report(Trouble::still_quarantined, m.iova, m.len, o);
	}
	return gone;
}

}  // namespace iovad::dma
