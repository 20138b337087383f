// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/processes.h"

#include <atomic>
#include <cerrno>
#include <cstring>

namespace iovad::eal {

namespace {

uint64_t magic_of(SharedDomain &domain, std::memory_order order)
{
	return std::atomic_ref(domain.magic).load(order);
}

void set_magic(SharedDomain &domain, uint64_t magic)
{
	std::atomic_ref(domain.magic).store(magic, std::memory_order_seq_cst);
}

int enter(SharedDomain &shared, size_t len)
{
	// Acquire pairs with the release in create_domain().
	const uint64_t magic = magic_of(shared, std::memory_order_acquire);
	if (magic == 0)  // it is being made, or destroyed
		return ENOENT;
	if (magic != SharedDomain::kMagic || len < shared.bytes)
		return EPROTO;
	if (!add_process(shared, this_process()))
		return EAGAIN;
	// It may be going away since.
	if (magic_of(shared, std::memory_order_seq_cst) == SharedDomain::kMagic)
		return 0;
	remove_process(shared, this_process());
	return ENOENT;
}

}  // namespace

bool add_process(SharedDomain &shared, ProcessId process)
{
	core::LockGuard guard(shared.processes_lock);
	for (ProcessId &slot : shared.processes) {
		if (slot == 0 || core::is_gone(slot)) {
			slot = process;
			return true;
		}
	}
	return false;
}

void remove_process(SharedDomain &shared, ProcessId process)
{
	core::LockGuard guard(shared.processes_lock);
	for (ProcessId &slot : shared.processes) {
		if (slot == process)
			slot = 0;
	}
}

ProcessId other_process(SharedDomain &shared, ProcessId process)
{
	core::LockGuard guard(shared.processes_lock);
	for (const ProcessId slot : shared.processes) {
		if (slot != 0 && slot != process && !core::is_gone(slot))
			return slot;
	}
	return 0;
}

// EAL frees no memzone that is in its list, and takes none out during a walk: what is destroyed
// meanwhile is there until this process has looked again, and left.
Attachment::Attachment(const char *domain) : name_(domain), error_(ENOENT)
{
	rte_memzone_walk([](const rte_memzone *zone, void *self) { static_cast<Attachment *>(self)->visit(*zone); }, this);
}

Attachment::~Attachment()
{
	if (error_ == 0 && !kept_)
		remove_process(shared(), this_process());
}

void Attachment::visit(const rte_memzone &zone)
{
	if (std::strcmp(zone.name, name_.text) != 0)
		return;
	zone_ = &zone;
	error_ = enter(shared(), zone.len);
}

Withdrawn::Withdrawn(SharedDomain &domain) : domain_(&domain) { set_magic(domain, 0); }

Withdrawn::~Withdrawn()
{
	if (domain_)
		set_magic(*domain_, SharedDomain::kMagic);
}

}  // namespace iovad::eal
