// SPDX-License-Identifier: BSD-3-Clause
#include "measure/domain.h"

#include <cstring>

#include <rte_errno.h>

#include <iovad/iovad_control.h>

#include "errors.h"
#include "text.h"

namespace iovad::perf {

Domain::Domain(const iovad_domain_conf &conf) : domain_(iovad_domain_create(&conf))
{
	if (domain_ == nullptr)
		throw UsageError(format("cannot create the domain: %s", rte_strerror(rte_errno)));
}

Domain::~Domain()
{
	if (domain_ != nullptr)
		iovad_domain_destroy(domain_);
}

iovad_domain_stats Domain::stats() const
{
	iovad_domain_stats stats = {};
	iovad_domain_stats_get(domain_, &stats);
	return stats;
}

bool Domain::verify() const
{
	return iovad_verify(domain_, stderr) == 0;
}

bool Domain::destroy()
{
	if (iovad_domain_destroy(domain_) != 0)
		return false;
	domain_ = nullptr;
	return true;
}

ControlThread::ControlThread()
{
	if (const int status = iovad_control_thread_start(); status != 0)
		throw UsageError(format("cannot start the control thread: %s", strerror(-status)));
}

ControlThread::~ControlThread()
{
	iovad_control_thread_stop();
}

}  // namespace iovad::perf
