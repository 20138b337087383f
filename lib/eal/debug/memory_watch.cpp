// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/memory_watch.h"

#include <cstdio>

#include <rte_errno.h>

#include "eal/log/log.h"

namespace iovad::eal::debug {

MemoryWatch::MemoryWatch(const char *domain, Checker &checker) : checker_(checker)
{
	std::snprintf(callback_name_, sizeof callback_name_, "iovad_debug_%s", domain);
	watching_ = rte_mem_event_callback_register(callback_name_, on_event, this) == 0;
	if (!watching_ && rte_errno != ENOTSUP)
		IOVAD_LOG(WARNING, "%s: EAL's memory events cannot be watched (%s): memory that it takes back while it is mapped "
			  "is not found", domain, rte_strerror(rte_errno));
}

MemoryWatch::~MemoryWatch()
{
	if (watching_)
		rte_mem_event_callback_unregister(callback_name_, this);
}

void MemoryWatch::on_event(rte_mem_event event, const void *va, size_t len, void *watch)
{
	if (event == RTE_MEM_EVENT_FREE)
		static_cast<MemoryWatch *>(watch)->checker_.memory_goes(va, len);
}

}  // namespace iovad::eal::debug
