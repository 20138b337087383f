// SPDX-License-Identifier: BSD-3-Clause
// Domains by name: a memzone each, which secondary processes find by lookup, and in
// every process a list of its handles. Not for the data path; everything here may sleep.
#pragma once

#include <functional>
#include <mutex>

#include "eal/domain/handle.h"

namespace iovad::eal {

// Null with rte_errno, and the reason in the log.
iovad_domain *create_domain(const iovad_domain_conf &conf);
iovad_domain *lookup_domain(const char *name);
// 0 or a negative errno.
int destroy_domain(iovad_domain *domain);

// Of this process, attached ones too. While `use` runs, none is created or goes away.
using UseDomain = std::function<void(iovad_domain &)>;
void for_each_domain(const UseDomain &use);
// False: there is none of this name.
bool with_domain(const char *name, const UseDomain &use);

// While one exists, the handles of this process neither come nor go, and nobody else has
// one. Nothing in here is called meanwhile.
class DomainsInUse {
public:
	DomainsInUse() : lock_(mutex_) {}
	// Does not wait; see operator bool.
	explicit DomainsInUse(std::try_to_lock_t tag) : lock_(mutex_, tag) {}
	explicit operator bool() const { return lock_.owns_lock(); }

	// use(domain) for each that this process created.
	template <class Use> void for_each_created(Use use) const
	{
		for (iovad_domain *d = first(); d; d = d->next) {
			if (d->memory)
				use(*d);
		}
	}

private:
	static iovad_domain *first();

	static std::mutex mutex_;
	std::unique_lock<std::mutex> lock_;
};

}  // namespace iovad::eal
