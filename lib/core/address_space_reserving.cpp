// SPDX-License-Identifier: BSD-3-Clause
// Reserving: ranges that grow together, and are given back in parts.
#include "core/address_space.h"

namespace iovad::core {

// What is to be reserved and every reserved range it overlaps or touches become one:
// they are erased, which needs nothing, and leave one gap, in which the union is
// claimed, for which the nodes were counted before. What of it was deferred is reserved
// once more.
Status AddressSpace::reserve(Pfn start, Pfn end)
{
	LockGuard guard(lock_);
	if (holds_back_some_of(start, end) || pool_.available() < tree_.nodes_to_insert(1))
		release_all();
	Extent e = tree_.find(start);
	if (e.value == 0 && e.start == start && start > tree_.first())
		e = tree_.find(start - 1);
	const Pfn low = e.value == kReserved ? e.start : start;
	Pfn high = end;
	for (Pfn pfn = start; pfn <= end && pfn < tree_.end(); pfn = e.end) {
		e = tree_.find(pfn);
		if (is_live(e.value) && pfn < end)
			return Status::exists;
		if (e.value == kReserved && e.end > high)
			high = e.end;
	}
	if (!deferred_.can_cut({start, end}))
		return Status::again;
	e = tree_.find(low);
	if (e.value == kReserved && e.end >= high) {
		deferred_.cut({start, end});
		return Status::ok;
	}
	if (pool_.available() < tree_.nodes_to_insert(1))
		return Status::again;
	deferred_.cut({start, end});
	for (Pfn pfn = low; pfn < high; pfn = e.end) {
		e = tree_.find(pfn);
		if (e.value == kReserved) {
			tree_.erase(e.start, e.end, kReserved);
			--reserved_ranges_;
			reserved_granules_ -= e.end - e.start;
		}
	}
	tree_.claim(low, high, kReserved);
	++reserved_ranges_;
	reserved_granules_ += high - low;
	return Status::ok;
}

// With what it touches of the deferred: all that is left of a range needs no node.
Status AddressSpace::unreserve(Pfn start, Pfn end)
{
	LockGuard guard(lock_);
	if (pool_.available() < tree_.nodes_to_insert(2))
		release_all();
	const Span span = {start, end};
	const Extent e = tree_.find(start);
	if (e.value != kReserved || e.end < end || deferred_.overlaps(span))
		return Status::not_found;
	const Span all = deferred_.joined(span);
	if (try_unreserve(all)) {
		deferred_.cut(all);
		return Status::ok;
	}
	return deferred_.add(span) ? Status::ok : Status::again;
}

// The span lies in a reserved range. False: too few nodes, and nothing happened.
bool AddressSpace::try_unreserve(const Span &span)
{
	const Extent e = tree_.find(span.start);
	const unsigned parts = (e.start < span.start) + (span.end < e.end);
	if (parts != 0 && pool_.available() < tree_.nodes_to_insert(parts))
		return false;
	tree_.erase(e.start, e.end, kReserved);
	if (e.start < span.start)
		tree_.claim(e.start, span.start, kReserved);
	if (span.end < e.end)
		tree_.claim(span.end, e.end, kReserved);
	reserved_ranges_ += parts;
	--reserved_ranges_;
	reserved_granules_ -= span.end - span.start;
	return true;
}

void AddressSpace::settle()
{
	for (bool more = true; more;) {
		LockGuard guard(lock_);
		more = settle_some();
	}
}

// True: there may be more to do. Others wait for the lock: so each is tried once, and a few are
// settled. None that is deferred is a whole range, which would need no node.
bool AddressSpace::settle_some()
{
	constexpr unsigned kFew = 4;
	if (deferred_.empty() || pool_.available() < tree_.nodes_to_insert(1))
		return false;
	unsigned settled = 0;
	const SpanList all = deferred_;
	for (const Span &span : all) {
		if (!try_unreserve(span))
			continue;
		deferred_.cut(span);
		if (++settled == kFew)
			return true;
	}
	return false;
}

}  // namespace iovad::core
