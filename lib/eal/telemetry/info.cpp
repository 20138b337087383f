// SPDX-License-Identifier: BSD-3-Clause
// /iovad/info: what a domain is, as opposed to what happens in it.
#include "core/range_tree/range_tree.h"
#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

namespace {

const char *backend_name(iovad_backend backend)
{
	switch (backend) {
	case IOVAD_BACKEND_NONE: return "none";
	case IOVAD_BACKEND_SOFT: return "soft";
	case IOVAD_BACKEND_VFIO: return "vfio";
	}
	return "unknown";
}

struct Flag {
	uint32_t bit;
	const char *name;
};

constexpr Flag kFlags[] = {{IOVAD_DOMAIN_F_NO_CACHE, "no_cache"}, {IOVAD_DOMAIN_F_DEBUG, "debug"}};

}  // namespace

void tell_info(iovad_domain &d, Answer &answer)
{
	SharedDomain &shared = *d.shared;
	const core::Geometry &g = d.core.geometry();
	answer.text("name", shared.name);
	answer.number("first", g.first_byte());
	answer.number("last", g.last_byte());
	answer.number("granule", g.granule);
	answer.text("backend", backend_name(shared.backend));
	answer.text("policy", shared.unmap_policy == IOVAD_UNMAP_LAZY ? "lazy" : "strict");
	answer.number("lazy_max_age_us", shared.lazy_max_age_us);
	answer.number("lazy_max_bytes", shared.lazy_max_bytes);
	answer.texts("flags", [&](auto add) {
		for (const Flag &flag : kFlags) {
			if (shared.flags & flag.bit)
				add(flag.name);
		}
	});
	answer.text("isa", core::isa_name(core::current_isa()));
	answer.numbers("processes", [&](auto add) {
		core::LockGuard guard(shared.processes_lock);
		for (const core::ProcessId process : shared.processes) {
			if (process != 0)
				add(core::pid_of(process));
		}
	});
	answer.number("metadata_bytes", shared.bytes);
}

}  // namespace iovad::eal
