// SPDX-License-Identifier: BSD-3-Clause
#include "eal/log/outcome.h"

#include <rte_errno.h>

#include "eal/log/log.h"
#include "eal/status_errno.h"

namespace iovad::eal {

int log_outcome(const char *domain, const char *what, const dma::Outcome &o, uint32_t level)
{
	const int error = -negative_errno(o.status);
	rte_log(level, static_cast<uint32_t>(iovad_logtype), "IOVAD: %s: %s (%s)%s%s\n", domain, what,
		rte_strerror(o.error ? o.error : error), *o.advice ? ": " : "", o.advice);
	return error;
}

}  // namespace iovad::eal
