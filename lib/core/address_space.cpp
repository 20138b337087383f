// SPDX-License-Identifier: BSD-3-Clause
#include "core/address_space.h"

namespace iovad::core {

void AddressSpace::init(void *nodes, uint32_t node_count, Pfn first, Pfn end)
{
	pool_.init(nodes, node_count);
	tree_.init(&pool_, first, end);
	reserved_ranges_ = reserved_granules_ = 0;
	allocs_ = bad_frees_ = 0;
	frees_ = 0;
}

unsigned AddressSpace::alloc_run(uint64_t size, uint64_t align, Pfn limit, Value value, Pfn *out,
				 unsigned n, Status &status)
{
	LockGuard guard(lock_);
	unsigned got = 0;
	status = Status::ok;
	for (; got < n; ++got) {
		const Placement p = tree_.alloc(size, align, limit, value);
		status = p.status;
		if (status != Status::ok)
			break;
		out[got] = p.start;
	}
	allocs_ += got;
	return got;
}

Status AddressSpace::free_locked(Pfn start, uint64_t size, Value value)
{
	const Status status = tree_.erase(start, start + size, value);
	if (status == Status::ok)
		frees_.store(frees_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
	else
		++bad_frees_;
	return status;
}

Status AddressSpace::free(Pfn start, uint64_t size, Value value)
{
	LockGuard guard(lock_);
	return free_locked(start, size, value);
}

unsigned AddressSpace::free_run(uint64_t size, Value value, const Pfn *starts, unsigned n)
{
	LockGuard guard(lock_);
	unsigned freed = 0;
	for (unsigned i = 0; i < n; ++i)
		freed += free_locked(starts[i], size, value) == Status::ok;
	return freed;
}

// What is to be reserved and every reserved range it overlaps or touches become one:
// they are erased, which needs nothing, and leave one gap, in which the union is
// claimed, for which the nodes were counted before.
Status AddressSpace::reserve(Pfn start, Pfn end)
{
	LockGuard guard(lock_);
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
	e = tree_.find(low);
	if (e.value == kReserved && e.end >= high)
		return Status::ok;
	if (pool_.available() < tree_.nodes_to_insert(1))
		return Status::again;
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

Status AddressSpace::unreserve(Pfn start, Pfn end)
{
	LockGuard guard(lock_);
	const Extent e = tree_.find(start);
	if (e.value != kReserved || e.end < end)
		return Status::not_found;
	const unsigned parts = (e.start < start) + (end < e.end);
	if (parts != 0 && pool_.available() < tree_.nodes_to_insert(parts))
		return Status::again;
	tree_.erase(e.start, e.end, kReserved);
	if (e.start < start)
		tree_.claim(e.start, start, kReserved);
	if (end < e.end)
		tree_.claim(end, e.end, kReserved);
	reserved_ranges_ += parts;
	--reserved_ranges_;
	reserved_granules_ -= end - start;
	return Status::ok;
}

Extent AddressSpace::find(Pfn pfn)
{
	LockGuard guard(lock_);
	return tree_.find(pfn);
}

Extent AddressSpace::next_live(Pfn pfn)
{
	LockGuard guard(lock_);
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
	LockGuard guard(lock_);
	const uint64_t used = tree_.end() - tree_.first() - tree_.free_granules();
	return {tree_.ranges() - reserved_ranges_, used - reserved_granules_, reserved_granules_,
		tree_.free_granules(), tree_.largest_gap(), allocs_, frees(), bad_frees_, pool_.used(),
		tree_.leaves_visited(), tree_.searches()};
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
	return good;
}

}  // namespace iovad::core
