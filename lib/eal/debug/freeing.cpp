// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/freeing.h"

#include "eal/status_errno.h"

namespace iovad::eal::debug {

namespace {

template <class Free> int free_one(Checker &checker, rte_iova_t iova, uint64_t len, Free free)
{
	const Checker::Taken record = checker.freeing(iova, len);
	const core::Status status = free();
	if (status == core::Status::ok)
		checker.freed(iova, len, record);
	else
		checker.not_freed(iova, len, record);
	return negative_errno(status);
}

}  // namespace

int free(iovad_domain &d, const rte_iova_t *iovas, uint64_t len, unsigned n)
{
	// If not, none is freed, and each is only reported.
	const bool valid = d.core.check_blocks(iovas, len, n) == core::Status::ok;
	int error = valid ? 0 : -EINVAL;
	for (unsigned i = 0; i < n; ++i) {
		const rte_iova_t iova = iovas[i];
		if (valid || d.core.check_blocks(&iova, len, 1) != core::Status::ok) {
			const int one = free_one(*d.checker, iova, len,
						 [&] { return d.core.free_bulk(rte_lcore_id(), &iova, len, 1); });
			error = one ? one : error;
		}
	}
	return error;
}

int free_range(iovad_domain &d, rte_iova_t iova, uint64_t len)
{
	return free_one(*d.checker, iova, len, [&] { return d.core.free_range(iova, len); });
}

}  // namespace iovad::eal::debug
