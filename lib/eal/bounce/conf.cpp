// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce/conf.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cinttypes>
#include <cstring>

#include "eal/domain/handle.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

constexpr uint64_t kDefaultMost = uint64_t{64} << 20;
constexpr uint64_t kLargest = uint64_t{1} << 40;  // no machine has more for this
constexpr uint32_t kKnownFlags = IOVAD_BOUNCE_F_TRANSIENT;

uint64_t chunks_of(uint64_t bytes) { return (bytes + kBounceChunk - 1) / kBounceChunk; }

bool check_name(const char *name)
{
	if (!name || !*name) {
		IOVAD_LOG(ERR, "a bounce pool needs a name");
		return false;
	}
	if (std::strlen(name) > IOVAD_BOUNCE_NAME_MAX) {
		IOVAD_LOG(ERR, "bounce pool '%s': the name is longer than %d characters", name, IOVAD_BOUNCE_NAME_MAX);
		return false;
	}
	for (const char *c = name; *c; ++c) {
		if (!std::isalnum(static_cast<unsigned char>(*c)) && !std::strchr("_-", *c)) {
			IOVAD_LOG(ERR, "bounce pool '%s': only letters, digits, '_' and '-'", name);
			return false;
		}
	}
	return true;
}

bool check_sizes(const iovad_bounce_conf &conf, BounceSize &size)
{
	if (std::max(conf.initial_bytes, conf.max_bytes) > kLargest) {
		IOVAD_LOG(ERR, "bounce pool %s: initial_bytes %" PRIu64 ", max_bytes %" PRIu64 ": more than %" PRIu64, conf.name,
			  conf.initial_bytes, conf.max_bytes, kLargest);
		return false;
	}
	size.initial = std::max<uint64_t>(chunks_of(conf.initial_bytes), 1);
	size.most = conf.max_bytes ? chunks_of(conf.max_bytes) : std::max(chunks_of(kDefaultMost), size.initial);
	if (size.most < size.initial) {
		IOVAD_LOG(ERR, "bounce pool %s: max_bytes %" PRIu64 " is less than initial_bytes %" PRIu64, conf.name,
			  conf.max_bytes, conf.initial_bytes);
		return false;
	}
	return true;
}

bool check_domain(const iovad_bounce_conf &conf)
{
	const uint64_t granule = conf.domain->core.geometry().granule;
	if (granule <= kBounceChunk)
		return true;
	IOVAD_LOG(ERR, "bounce pool %s: domain %s has granules of %" PRIu64 " KiB, memory comes in pieces of 2 MiB", conf.name,
		  conf.domain->shared->name, granule >> 10);
	return false;
}

}  // namespace

int check_bounce_conf(const iovad_bounce_conf &conf, BounceSize &size)
{
	if (conf.size != sizeof conf) {
		IOVAD_LOG(ERR, "conf.size is %zu, this library knows %zu: call iovad_bounce_conf_init(), "
			  "build and run with the same version", conf.size, sizeof conf);
		return EINVAL;
	}
	if (!check_name(conf.name))
		return EINVAL;
	if (!conf.domain) {
		IOVAD_LOG(ERR, "bounce pool %s: needs a domain", conf.name);
		return EINVAL;
	}
	if ((conf.flags & ~kKnownFlags) != 0) {
		IOVAD_LOG(ERR, "bounce pool %s: flags 0x%x: unknown ones among them; known are 0x%x", conf.name, conf.flags,
			  kKnownFlags);
		return EINVAL;
	}
	if (conf.socket_id < SOCKET_ID_ANY || conf.socket_id >= RTE_MAX_NUMA_NODES) {
		IOVAD_LOG(ERR, "bounce pool %s: socket_id %d is none", conf.name, conf.socket_id);
		return EINVAL;
	}
	if (!check_sizes(conf, size) || !check_domain(conf))
		return EINVAL;
	if (!conf.domain->mapper) {
		IOVAD_LOG(ERR, "bounce pool %s: domain %s has no backend, or another process made it", conf.name,
			  conf.domain->shared->name);
		return ENOTSUP;
	}
	return 0;
}

}  // namespace iovad::eal
