// SPDX-License-Identifier: BSD-3-Clause
// What was given back and comes back late: ranges of a value of their own in the tree, in a ring by their age.
#include "core/address_space.h"

namespace iovad::core {

void AddressSpace::hold_back(Span *places, uint32_t ranges)
{
	const Guard guard(*this);
	held_back_ = {places, ranges, 0, 0, 0};
}

bool AddressSpace::release_held_back()
{
	const Guard guard(*this);
	return release_all();
}

// It is a gap, or a part of one. Where there is no node for it, it stays that.
void AddressSpace::keep_back(Pfn start, Pfn end)
{
	if (held_back_.count == held_back_.most)
		release_oldest();
	if (!tree_.can_insert(1) || tree_.claim(start, end, kHeldBack) != Status::ok)
		return;
	held_back_.places[held_back_.ever++ % held_back_.most] = {start, end};
	++held_back_.count;
	held_back_.granules += end - start;
}

// Counted once more as given back: a request that was refused just before must try again.
void AddressSpace::release_oldest()
{
	const Span span = held_back_.places[(held_back_.ever - held_back_.count) % held_back_.most];
	tree_.erase(span.start, span.end, kHeldBack);
	--held_back_.count;
	held_back_.granules -= span.end - span.start;
	frees_.store(frees_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

bool AddressSpace::holds_back_some_of(Pfn start, Pfn end) const
{
	for (Pfn pfn = start; held_back_.count != 0 && pfn < end;) {
		const Extent e = tree_.find(pfn);
		if (e.value == kHeldBack)
			return true;
		pfn = e.end;
	}
	return false;
}

// False: there was none.
bool AddressSpace::release_all()
{
	if (held_back_.count == 0)
		return false;
	while (held_back_.count != 0)
		release_oldest();
	return true;
}

// After the tree was repaired: what it holds of them counts, not what was noted.
void AddressSpace::forget_held_back()
{
	if (held_back_.most == 0)
		return;
	for (Pfn pfn = tree_.first(); pfn < tree_.end();) {
		const Extent e = tree_.find(pfn);
		if (e.value == kHeldBack)
			tree_.erase(e.start, e.end, kHeldBack);
		pfn = e.end;
	}
	held_back_.count = 0;
	held_back_.granules = 0;
}

bool AddressSpace::verify_held_back(FILE *why) const
{
	if (held_back_.most == 0)
		return true;
	uint32_t ranges = 0;
	for (Pfn pfn = tree_.first(); pfn < tree_.end();) {
		const Extent e = tree_.find(pfn);
		ranges += e.value == kHeldBack;
		pfn = e.end;
	}
	uint64_t granules = 0;
	bool good = ranges == held_back_.count;
	for (uint32_t i = 1; i <= held_back_.count; ++i) {
		const Span span = held_back_.places[(held_back_.ever - i) % held_back_.most];
		good &= tree_.find(span.start) == Extent{span.start, span.end, kHeldBack};
		granules += span.end - span.start;
	}
	good &= granules == held_back_.granules;
	if (!good && why)
		std::fputs("address space: what is held back is not what was noted\n", why);
	return good;
}

}  // namespace iovad::core
