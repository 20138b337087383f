// SPDX-License-Identifier: BSD-3-Clause
// Tells a checker what EAL takes back of its memory, before it does.
#pragma once

#include <rte_memory.h>

#include "eal/debug/checker.h"

namespace iovad::eal::debug {

class MemoryWatch {
public:
	// domain: its name. Where EAL's memory never changes (--legacy-mem, --no-huge) there is nothing to watch.
	MemoryWatch(const char *domain, Checker &checker);
	~MemoryWatch();
	MemoryWatch(const MemoryWatch &) = delete;
	MemoryWatch &operator=(const MemoryWatch &) = delete;

private:
	static void on_event(rte_mem_event event, const void *va, size_t len, void *watch);

	Checker &checker_;
	char callback_name_[RTE_MEM_EVENT_CALLBACK_NAME_LEN];
	bool watching_;
};

}  // namespace iovad::eal::debug
