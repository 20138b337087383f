// SPDX-License-Identifier: BSD-3-Clause
#include "eal/control/service.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_memory.h>
#include <rte_service_component.h>

#include "eal/control/control.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

constexpr const char kName[] = "iovad_control";
constexpr uint64_t kCallsPerSecond = 10;  // fewer: it does not run

std::atomic<uint64_t> last_call_tsc;

// Called in a tight loop: mostly it finds that it is not time.
int32_t run(void *)
{
	last_call_tsc.store(rte_get_tsc_cycles(), std::memory_order_relaxed);
	if (!control_due())
		return -EAGAIN;  // these cycles are not the service's
	return control_pass(Runner::service) != 0 ? 0 : -EAGAIN;
}

}  // namespace

int register_control_service(uint32_t &id)
{
	static std::mutex mutex;
	const std::lock_guard guard(mutex);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -ENOTSUP;
	if (rte_service_get_by_name(kName, &id) == 0)
		return 0;
	rte_service_spec spec = {};
	static_assert(sizeof kName <= sizeof spec.name);
	std::memcpy(spec.name, kName, sizeof kName);
	spec.callback = run;
	spec.capabilities = RTE_SERVICE_CAP_MT_SAFE;  // passes lock for themselves, and less often
	spec.socket_id = SOCKET_ID_ANY;
	if (const int error = rte_service_component_register(&spec, &id))
		return error;
	rte_service_component_runstate_set(id, 1);
	IOVAD_LOG(INFO, "the control lcore is service %u, %s: map it to a service lcore", id, kName);
	return 0;
}

bool control_service_runs()
{
	const uint64_t last = last_call_tsc.load(std::memory_order_relaxed);
	// The TSC may be read before the time of the last call is, and so be earlier.
	const uint64_t now = std::max(rte_get_tsc_cycles(), last);
	return last != 0 && now - last < rte_get_tsc_hz() / kCallsPerSecond;
}

}  // namespace iovad::eal
