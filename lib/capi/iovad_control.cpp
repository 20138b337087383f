// SPDX-License-Identifier: BSD-3-Clause
// The C API of the control lcore.
#include "iovad/iovad_control.h"

#include <algorithm>
#include <cerrno>
#include <climits>

#include "eal/control/control.h"
#include "eal/control/service.h"
#include "eal/control/thread.h"
#include "eal/domain/mapping.h"

int iovad_control_poll(void)
{
	return static_cast<int>(std::min<unsigned>(iovad::eal::control_pass(iovad::eal::Runner::poll), INT_MAX));
}

int iovad_control_service(uint32_t *service_id)
{
	return service_id ? iovad::eal::register_control_service(*service_id) : -EINVAL;
}

int iovad_control_thread_start(void) { return iovad::eal::start_control_thread(); }

int iovad_control_thread_stop(void) { return iovad::eal::stop_control_thread(); }

int iovad_flush(struct iovad_domain *d) { return d ? iovad::eal::flush(*d) : -EINVAL; }
