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
	const Guard guard(*this);
	if (holds_back_some_of(start, end) || !tree_.can_insert(1))
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
		cut_deferred({start, end});
		return Status::ok;
	}
	if (!tree_.can_insert(1))
		return Status::again;
	cut_deferred({start, end});
	reserve_but({low, high, {high, high}});
	return Status::ok;
}

void AddressSpace::reserve_but(const Reserving &what)
{
	reserving_ = what;
	// For whoever inherits the lock: see Journal.
	std::atomic_signal_fence(std::memory_order_seq_cst);
	is_reserving_ = true;
	std::atomic_signal_fence(std::memory_order_seq_cst);
	apply_reserving();
}

// The nodes were counted before.
void AddressSpace::apply_reserving()
{
	const auto [low, high, hole] = reserving_;
	const auto claim = [this](Pfn start, Pfn end) {
		if (start == end)
			return;
		tree_.claim(start, end, kReserved);
		++reserved_ranges_;
		reserved_granules_ += end - start;
	};
	Extent e;
	for (Pfn pfn = low; pfn < high; pfn = e.end) {
		e = tree_.find(pfn);
		if (e.value != kReserved)
			continue;
		tree_.erase(e.start, e.end, kReserved);
		--reserved_ranges_;
		reserved_granules_ -= e.end - e.start;
	}
	claim(low, hole.start);
	claim(hole.end, high);
	cut_deferred(hole);
	std::atomic_signal_fence(std::memory_order_seq_cst);
	is_reserving_ = false;
}

// Of the list, too, what is half done is undone: it must name nothing that is not reserved.
void AddressSpace::cut_deferred(const Span &span)
{
	const Journal::Change change(pool_.journal(), &deferred_, sizeof deferred_);
	deferred_.cut(span);
}

bool AddressSpace::defer(const Span &span)
{
	const Journal::Change change(pool_.journal(), &deferred_, sizeof deferred_);
	return deferred_.add(span);
}

// With what it touches of the deferred: all that is left of a range needs no node.
Status AddressSpace::unreserve(Pfn start, Pfn end)
{
	const Guard guard(*this);
	if (!tree_.can_insert(2))
		release_all();
	const Span span = {start, end};
	const Extent e = tree_.find(start);
	if (e.value != kReserved || e.end < end || deferred_.overlaps(span))
		return Status::not_found;
	return try_unreserve(deferred_.joined(span)) || defer(span) ? Status::ok : Status::again;
}

// The span lies in a reserved range. False: too few nodes, and nothing happened.
bool AddressSpace::try_unreserve(const Span &span)
{
	const Extent e = tree_.find(span.start);
	const unsigned parts = (e.start < span.start) + (span.end < e.end);
	if (parts != 0 && !tree_.can_insert(parts))
		return false;
	reserve_but({e.start, e.end, span});
	return true;
}

void AddressSpace::settle()
{
	for (bool more = true; more;) {
		const Guard guard(*this);
		more = settle_some();
	}
}

// True: there may be more to do. Others wait for the lock: so each is tried once, and a few are
// settled. None that is deferred is a whole range, which would need no node.
bool AddressSpace::settle_some()
{
	constexpr unsigned kFew = 4;
	if (deferred_.empty() || !tree_.can_insert(1))
		return false;
	unsigned settled = 0;
	const SpanList all = deferred_;
	for (const Span &span : all) {
		settled += try_unreserve(span);
		if (settled == kFew)
			return true;
	}
	return false;
}

}  // namespace iovad::core
