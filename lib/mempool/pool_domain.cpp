// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/pool_domain.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <list>
#include <mutex>

#include <rte_errno.h>

#include "mempool/choose_backend.h"
#include "mempool/log.h"

namespace iovad::mempool {

struct PoolDomain {
	iovad_domain *handle;
	char name[IOVAD_NAME_MAX + 1];
	bool created;  // by us
	unsigned pools;
};

namespace {

std::mutex mutex;
std::list<PoolDomain> domains;

iovad_domain *create(const Settings &settings, int socket_id)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = settings.domain;
	conf.socket_id = socket_id;
	conf.iova_first = settings.first;
	conf.iova_last = settings.last;
	conf.max_ranges = settings.max_ranges;
	if (const int error = choose_backend(settings.backend, conf.backend)) {
		rte_errno = -error;
		return nullptr;
	}
	iovad_domain *domain = iovad_domain_create(&conf);
	if (!domain)
		MEMPOOL_LOG(ERR, "no domain '%s' for pools: %s", settings.domain, rte_strerror(rte_errno));
	return domain;
}

}  // namespace

PoolDomain *acquire_domain(const Settings &settings, int socket_id, int &error)
{
	std::lock_guard guard(mutex);
	for (PoolDomain &d : domains) {
		if (std::strcmp(d.name, settings.domain) == 0) {
			++d.pools;
			return &d;
		}
	}
	iovad_domain *found = iovad_domain_lookup(settings.domain);
	iovad_domain *handle = found ? found : create(settings, socket_id);
	if (!handle) {
		error = -rte_errno;
		return nullptr;
	}
	PoolDomain &d = domains.emplace_back();
	d.handle = handle;
	std::snprintf(d.name, sizeof d.name, "%s", settings.domain);
	d.created = !found;
	d.pools = 1;
	return &d;
}

void release_domain(PoolDomain *domain, bool show)
{
	std::lock_guard guard(mutex);
	if (--domain->pools != 0)
		return;
	if (show) {
		iovad_dump(domain->handle, rte_log_get_stream());
		std::fflush(rte_log_get_stream());  // or it comes when EAL closes the log, if then
	}
	if (domain->created)
		iovad_domain_destroy(domain->handle);  // says in the log what is still in use
	domains.remove_if([=](const PoolDomain &d) { return &d == domain; });
}

iovad_domain *handle_of(const PoolDomain *domain) { return domain->handle; }

}  // namespace iovad::mempool
