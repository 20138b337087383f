// SPDX-License-Identifier: BSD-3-Clause
#include "core/address_space.h"

#include <algorithm>
#include <utility>

namespace iovad::core {

void AddressSpace::init(void *nodes, uint32_t node_count, Pfn first, Pfn end, Pfn border)
{
	pool_.init(nodes, node_count);
	tree_.init(&pool_, first, end, border);
	reserved_ranges_ = reserved_granules_ = 0;
	allocs_ = bad_frees_ = most_live_ = 0;
	frees_ = 0;
	grows_ = 0;
	first_nodes_ = node_count;
	deferred_ = {};
	held_back_ = {};
	is_reserving_ = false;
}

void AddressSpace::share()
{
	const Guard guard(*this);
	pool_.keep(journal_);
}

// Whoever died had at most one change of the tree, and one of what is reserved, under way.
void AddressSpace::repair()
{
	journal_.undo();
	forget_held_back();
	count_reserved();
	if (is_reserving_) {
		apply_reserving();
		count_reserved();
	}
}

void AddressSpace::count_reserved()
{
	reserved_ranges_ = reserved_granules_ = 0;
	for (Pfn pfn = tree_.first(); pfn < tree_.end();) {
		const Extent e = tree_.find(pfn);
		if (e.value == kReserved) {
			++reserved_ranges_;
			reserved_granules_ += e.end - e.start;
		}
		pfn = e.end;
	}
}

unsigned AddressSpace::alloc_run(uint64_t size, uint64_t align, Pfn limit, Value value, Pfn *out,
				 unsigned n, Status &status, unsigned wanted, Pfn floor)
{
	const Guard guard(*this);
	unsigned got = 0;
	status = Status::ok;
	for (; got < n; ++got) {
		const Placement p = tree_.alloc(size, align, limit, value);
		status = p.status;
		if (status != Status::ok)
			break;
		if (got >= wanted && p.start < floor) {
			tree_.erase(p.start, p.start + size, value);
			break;
		}
		out[got] = p.start;
	}
	if (status == Status::no_space && !deferred_.empty())
		status = Status::again;
	note_taken(got);
	return got;
}

void AddressSpace::note_taken(unsigned n)
{
	allocs_ += n;
	most_live_ = std::max(most_live_, live_locked());
}

bool AddressSpace::alloc_row(uint64_t size, uint64_t align, Pfn limit, Value value, Pfn *out, unsigned n, Pfn floor)
{
	const Guard guard(*this);
	const Placement whole = tree_.alloc(n * size, align, limit, value);
	if (whole.status != Status::ok)
		return false;
	const Pfn end = whole.start + n * size;
	tree_.erase(whole.start, end, value);
	if (whole.start < floor)
		return false;
	for (unsigned i = 0; i < n; ++i) {
		const Pfn start = end - (i + 1) * size;
		if (tree_.claim(start, start + size, value) != Status::ok) {  // no node
			while (i-- > 0)
				tree_.erase(out[i], out[i] + size, value);
			return false;
		}
		out[i] = start;
	}
	note_taken(n);
	return true;
}

bool AddressSpace::refuses(uint64_t size, uint64_t align)
{
	const Guard guard(*this);
	return tree_.refuses(size, align);
}

Status AddressSpace::free_locked(Pfn start, uint64_t size, Value value)
{
	const Status status = tree_.erase(start, start + size, value);
	if (status == Status::ok)
		frees_.store(frees_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
	else
		++bad_frees_;
	if (held_back_.most != 0 && status == Status::ok) [[unlikely]]
		keep_back(start, start + size);
	if (!deferred_.empty()) [[unlikely]]
		settle_some();
	return status;
}

Status AddressSpace::free(Pfn start, uint64_t size, Value value)
{
	const Guard guard(*this);
	return free_locked(start, size, value);
}

unsigned AddressSpace::free_run(uint64_t size, Value value, const Pfn *starts, unsigned n)
{
	const Guard guard(*this);
	unsigned freed = 0;
	for (unsigned i = 0; i < n; ++i)
		freed += free_locked(starts[i], size, value) == Status::ok;
	return freed;
}

size_t AddressSpace::nodes_wanted()
{
	constexpr uint32_t kFewest = 64;
	const Guard guard(*this);
	// Enough to settle what is deferred, however few there were to begin with.
	const bool enough = pool_.available() >= first_nodes_ / 4 && tree_.can_insert(2);
	return enough ? 0 : std::max(first_nodes_ / 2, kFewest) * kNodeBytes;
}

bool AddressSpace::add_nodes(void *memory, size_t bytes)
{
	{
		const Guard guard(*this);
		if (!pool_.add(memory, bytes))
			return false;
		++grows_;
	}
	settle();
	return true;
}

// What is deferred is reserved in the tree only.
Extent AddressSpace::find_locked(Pfn pfn) const
{
	Extent e = tree_.find(pfn);
	if (e.value != kReserved)
		return e;
	for (const Span &s : deferred_) {
		if (s.holds(pfn))
			return {s.start, s.end, 0};
		if (s.end <= pfn)
			e.start = std::max(e.start, s.end);
		else
			e.end = std::min(e.end, s.start);
	}
	return e;
}

uint64_t AddressSpace::live()
{
	const Guard guard(*this);
	return live_locked();
}

uint64_t AddressSpace::most_live()
{
	const Guard guard(*this);
	return most_live_;
}

uint64_t AddressSpace::take_most_live()
{
	const Guard guard(*this);
	return std::exchange(most_live_, live_locked());
}

Extent AddressSpace::find(Pfn pfn)
{
	const Guard guard(*this);
	return find_locked(pfn);
}

unsigned AddressSpace::find_run(Pfn pfn, Extent *out, unsigned n)
{
	const Guard guard(*this);
	unsigned found = 0;
	for (; found < n && pfn < tree_.end(); pfn = out[found++].end)
		out[found] = find_locked(pfn);
	return found;
}

Extent AddressSpace::next_live(Pfn pfn)
{
	const Guard guard(*this);
	while (pfn < tree_.end()) {
		const Extent e = tree_.find(pfn);
		if (is_live(e.value))
			return e;
		pfn = e.end;
	}
	return {tree_.end(), tree_.end(), 0};
}

AddressSpace::Totals AddressSpace::totals()
{
	const Guard guard(*this);
	const uint64_t deferred = deferred_.granules(), released = held_back_.ever - held_back_.count;
	return {tree_.ranges() - reserved_ranges_ - held_back_.count, live_locked(), reserved_granules_ - deferred,
		tree_.free_granules() + held_back_.granules + deferred, tree_.largest_gap(), allocs_, frees() - released, bad_frees_,
		pool_.used(), tree_.leaves_visited(), tree_.searches(), grows_, deferred_.size()};
}

bool AddressSpace::verify_locked(FILE *why) const
{
	bool good = tree_.verify(why);
	uint64_t reserved = 0, granules = 0;
	bool touches = false;
	for (Pfn pfn = tree_.first(); good && pfn < tree_.end();) {
		const Extent e = tree_.find(pfn);
		if (e.value == kReserved) {
			if (touches && why)
				std::fprintf(why, "address space: reserved ranges touch at %llx\n",
					     static_cast<unsigned long long>(e.start));
			good = !touches;
			++reserved;
			granules += e.end - e.start;
		}
		touches = e.value == kReserved;
		pfn = e.end;
	}
	if (good && (reserved != reserved_ranges_ || granules != reserved_granules_)) {
		good = false;
		if (why)
			std::fputs("address space: reserved ranges are not what was counted\n", why);
	}
	return verify_deferred(why) && verify_held_back(why) && good;
}

bool AddressSpace::verify_deferred(FILE *why) const
{
	const auto alone = [this](const Span &s) {
		return std::none_of(deferred_.begin(), deferred_.end(), [&](const Span &other) {
			return &other != &s && (other.overlaps(s) || other.touches(s));
		});
	};
	for (const Span &s : deferred_) {
		const Extent e = tree_.find(s.start);
		if (s.start < s.end && e.value == kReserved && s.end <= e.end && alone(s))
			continue;
		if (why)
			std::fprintf(why, "address space: deferred [%llx, %llx) is not a part of what is reserved\n",
				     static_cast<unsigned long long>(s.start),
				     static_cast<unsigned long long>(s.end));
		return false;
	}
	return true;
}

}  // namespace iovad::core
