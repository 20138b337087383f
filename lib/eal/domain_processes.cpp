// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain_processes.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <unistd.h>

namespace iovad::eal {

namespace {

bool alive(uint32_t pid) { return kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH; }

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

uint32_t this_process() { return static_cast<uint32_t>(getpid()); }

bool add_process(SharedDomain &shared, uint32_t pid)
{
	core::LockGuard guard(shared.processes_lock);
	for (uint32_t &slot : shared.processes) {
		if (slot == 0 || !alive(slot)) {
			slot = pid;
			return true;
		}
	}
	return false;
}

void remove_process(SharedDomain &shared, uint32_t pid)
{
	core::LockGuard guard(shared.processes_lock);
	for (uint32_t &slot : shared.processes) {
		if (slot == pid)
			slot = 0;
	}
}

uint32_t other_process(SharedDomain &shared, uint32_t pid)
{
	core::LockGuard guard(shared.processes_lock);
	for (const uint32_t slot : shared.processes) {
		if (slot != 0 && slot != pid && alive(slot))
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
