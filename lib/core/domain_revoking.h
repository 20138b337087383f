// SPDX-License-Identifier: BSD-3-Clause
// Work on the caches of others, while their owners are kept out: for the sources of Domain that do so.
#pragma once

#include <algorithm>

#include "core/domain.h"

namespace iovad::core {

// Who reclaims, one at a time. Where one died at it, its caches serve their owners again.
class Domain::ReclaimGuard {
public:
	explicit ReclaimGuard(Domain &domain) : guard_(domain.state_->reclaim_lock)
	{
		DomainState &state = *domain.state_;
		if (!state.reclaim_lock.inherited()) [[likely]]
			return;
		state.half_done.store(true, std::memory_order_relaxed);
		domain.for_each_cache([](LcoreCache &cache) {
			if (cache.revoked())
				cache.restore();
		});
		state.reclaim_lock.set_sound();
	}

private:
	LockGuard guard_;
};

// With reclaim_lock held: use(cache, quiet) on each chosen cache while its owner is kept
// out, then finish() while all of them still are. Not quiet: the owner could not be kept
// out, and nothing may be changed.
template <class Choose, class Use, class Finish>
void Domain::with_revoked(Patience patience, Choose choose, Use use, Finish finish)
{
	using asymmetric_fence::Reach;
	// Also where use() or finish() throws, for lack of memory.
	struct Restored {
		~Restored()
		{
			domain.for_each_cache([](LcoreCache &cache) {
				if (cache.revoked())
					cache.restore();
			});
		}
		Domain &domain;
	};
	bool any = false;
	Reach reach = Reach::this_process;
	// Without caches they hold nothing, and there may be no fence either.
	for_each_cache([&](LcoreCache &cache) {
		if (state_->config.cached && choose(cache)) {
			cache.revoke();
			any = true;
			reach = std::max(reach, reach_of(cache));
		}
	});
	if (!any) {
		finish();
		return;
	}
	const Restored restored{*this};
	// Where others cannot be reached, our own can.
	const auto fence = [&] {
		if (reach == Reach::all_processes && !asymmetric_fence::heavy(reach))
			reach = Reach::this_process;
		return asymmetric_fence::heavy(Reach::this_process);
	};
	bool fenced = fence();
	for_each_cache([&](LcoreCache &cache) {
		if (!cache.revoked())
			return;
		if (fenced && reach_of(cache) <= reach && quiesce(cache, patience)) {
			cache.withdraw();
		} else {
			use(cache, false);
			cache.restore();
		}
	});
	fenced = fenced && fence();
	for_each_cache([&](LcoreCache &cache) {
		if (!cache.revoked())
			return;
		use(cache, fenced && reach_of(cache) <= reach && quiesce(cache, patience));
	});
	finish();
}

}  // namespace iovad::core
