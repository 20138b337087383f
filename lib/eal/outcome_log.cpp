// SPDX-License-Identifier: BSD-3-Clause
#include "eal/outcome_log.h"

#include <rte_errno.h>

#include "eal/log.h"
#include "eal/status_errno.h"

namespace iovad::eal {

int log_outcome(const char *domain, const char *what, const dma::Outcome &o)
{
	const int error = -negative_errno(o.status);
	IOVAD_LOG(ERR, "%s: %s (%s)%s%s", domain, what, rte_strerror(o.error ? o.error : error),
		  *o.advice ? ": " : "", o.advice);
	return error;
}

}  // namespace iovad::eal
