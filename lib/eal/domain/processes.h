// SPDX-License-Identifier: BSD-3-Clause
// Which processes are attached to a domain, and which come while it goes.
//
// A domain's memzone lists them. A process that attaches enters the list, and then looks whether the domain
// is still there; one that destroys withdraws the domain, and then looks which are in the list. Both orders are
// sequentially consistent, so that they cannot both miss the other. The list itself is in the memzone, which
// must not be freed while it is entered: see Attachment.
#pragma once

#include <cstdint>
#include <cstdio>

#include <rte_memzone.h>

#include "eal/domain/handle.h"

namespace iovad::eal {

// Of a domain's memzone.
struct ZoneName {
	char text[RTE_MEMZONE_NAMESIZE];

	explicit ZoneName(const char *domain) { std::snprintf(text, sizeof text, "iovad_%s", domain); }
};

using core::ProcessId;
using core::this_process;

// False: the list is full of processes that are alive.
bool add_process(SharedDomain &shared, ProcessId process);
void remove_process(SharedDomain &shared, ProcessId process);
// Those that died since; notes that, and what their caches held.
unsigned remove_dead(SharedDomain &shared, const core::Domain::Buried &buried);
// One that is alive, or 0.
ProcessId other_process(SharedDomain &shared, ProcessId process);

// Of this process to a domain, by its name: ends with the object, unless it is kept.
class Attachment {
public:
	explicit Attachment(const char *domain);
	~Attachment();
	Attachment(const Attachment &) = delete;
	Attachment &operator=(const Attachment &) = delete;

	// 0; ENOENT there is none, or it is being made or destroyed; EPROTO it is of another version;
	// EAGAIN too many processes.
	int error() const { return error_; }
	const rte_memzone *zone() const { return zone_; }
	SharedDomain &shared() const { return *static_cast<SharedDomain *>(zone_->addr); }
	void keep() { kept_ = true; }

private:
	void visit(const rte_memzone &zone);

	const ZoneName name_;
	const rte_memzone *zone_ = nullptr;
	int error_;
	bool kept_ = false;
};

// Nobody can attach meanwhile; afterwards again, unless it is for good.
class Withdrawn {
public:
	explicit Withdrawn(SharedDomain &domain);
	~Withdrawn();
	Withdrawn(const Withdrawn &) = delete;
	Withdrawn &operator=(const Withdrawn &) = delete;

	void for_good() { domain_ = nullptr; }

private:
	SharedDomain *domain_;
};

}  // namespace iovad::eal
