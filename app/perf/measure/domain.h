// SPDX-License-Identifier: BSD-3-Clause
// The domain under test, and what serves it: both end with their owner.
#pragma once

#include <iovad/iovad.h>

namespace iovad::perf {

class Domain {
public:
	explicit Domain(const iovad_domain_conf &conf);  // throws UsageError
	~Domain();
	Domain(const Domain &) = delete;
	Domain &operator=(const Domain &) = delete;

	iovad_domain *get() const { return domain_; }
	iovad_domain_stats stats() const;
	bool verify() const;  // says on stderr what does not hold
	bool destroy();       // false: it is still there

private:
	iovad_domain *domain_;
};

// The thread that unmaps what was unmapped lazily.
class ControlThread {
public:
	ControlThread();  // throws UsageError
	~ControlThread();
	ControlThread(const ControlThread &) = delete;
	ControlThread &operator=(const ControlThread &) = delete;
};

}  // namespace iovad::perf
