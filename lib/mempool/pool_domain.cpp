// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/pool_domain.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <list>

#include <rte_errno.h>

#include "mempool/choose_backend.h"
#include "mempool/log.h"

namespace iovad::mempool {

struct PoolDomain {
	iovad_domain *handle;
	Settings settings;  // of the pool that came first
	bool created;       // by us
	unsigned pools;
};

namespace {

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

PoolDomain *find(const char *name)
{
	for (PoolDomain &d : domains) {
		if (std::strcmp(d.settings.domain, name) == 0)
			return &d;
	}
	return nullptr;
}

// What says how a domain is to be made means nothing to one that is there: rather than do
// without what was asked for, refuse.
bool fits(const PoolDomain &d, const Settings &settings)
{
	const Settings &made = d.created ? d.settings : Settings{};
	if (settings.same_domain(made))
		return true;
	MEMPOOL_LOG(ERR, "domain '%s' is there already, made by %s: backend, first, last and max_ranges cannot %s",
		    settings.domain, d.created ? "an earlier pool" : "the application",
		    d.created ? "differ from that pool's" : "be given");
	return false;
}

}  // namespace

PoolDomain *acquire_domain(const Settings &settings, int socket_id, int &error)
{
	if (PoolDomain *d = find(settings.domain)) {
		if (!fits(*d, settings)) {
			error = -EEXIST;
			return nullptr;
		}
		++d->pools;
		return d;
	}
	iovad_domain *found = iovad_domain_lookup(settings.domain);
	std::list<PoolDomain> one{{found, settings, !found, 1}};  // made before the domain: splicing cannot fail
	PoolDomain &d = one.front();
	if (!found)
		d.handle = create(settings, socket_id);
	error = !d.handle ? -rte_errno : fits(d, settings) ? 0 : -EEXIST;
	if (error != 0)
		return nullptr;
	domains.splice(domains.end(), one);
	return &d;
}

void release_domain(PoolDomain *domain)
{
	if (--domain->pools != 0)
		return;
	// Where something is still in use, as the log says, the next pool finds it as it is.
	if (domain->created && iovad_domain_destroy(domain->handle) != 0)
		return;
	domains.remove_if([=](const PoolDomain &d) { return &d == domain; });
}

bool is_last_user(const PoolDomain *domain) { return domain->pools == 1; }

iovad_domain *handle_of(const PoolDomain *domain) { return domain->handle; }

}  // namespace iovad::mempool
