// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/upkeep.h"

namespace iovad::eal {

unsigned CoreUpkeep::add_nodes(core::Domain &core, DomainMemory &memory, DomainLog &log, uint64_t now)
{
	const size_t bytes = now < no_nodes_before_ns_ ? 0 : core.nodes_wanted();
	if (bytes == 0)
		return 0;
	void *const nodes = memory.take(bytes, core::kNodeBytes);
	if (nodes && core.add_nodes(nodes, bytes))
		return 1;
	log.no_nodes(bytes);
	// To ask EAL in vain is slow. What lies where the tree cannot use it stays until the domain's
	// end, and EAL would give the next piece beside it.
	no_nodes_before_ns_ = nodes ? UINT64_MAX : now + kPeriodNs;
	return 0;
}

unsigned CoreUpkeep::trim(core::Domain &core, uint64_t now)
{
	if (now >= period_end_ns_) {
		core.end_period();
		core.settle();
		period_end_ns_ = now + kPeriodNs;
		trimming_ = true;
	}
	if (!trimming_)
		return 0;
	const unsigned magazines = core.trim(kMostMagazines).magazines;
	trimming_ = magazines == kMostMagazines;
	return magazines;
}

unsigned CoreUpkeep::bury(core::Domain &core, DomainLog &log, uint64_t now)
{
	if (now < look_again_ns_)
		return 0;
	look_again_ns_ = now + kPeriodNs;
	const core::Domain::Buried buried = core.bury_dead();
	if (buried.caches != 0 || buried.addresses != 0)
		log.buried(buried.caches, buried.addresses);
	return buried.caches;
}

}  // namespace iovad::eal
