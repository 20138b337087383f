// SPDX-License-Identifier: BSD-3-Clause
// What becomes of the accesses that do not lie in one leaf, and of those that must not be.
#include "dma/soft/soft_iommu.h"

#include <algorithm>

namespace iovad::dma {

namespace {

FaultReason missing_right(const soft::Leaf &leaf, uint64_t access)
{
	if (leaf.entry.empty())
		return FaultReason::not_present;
	return leaf.entry.allows(access & soft::Entry::kRead) ? FaultReason::no_write
							      : FaultReason::no_read;
}

}  // namespace

// As far as it goes: len bytes, or fewer and the reason why no more.
Piece SoftIommu::reach(uint64_t iova, uint64_t len, Access access)
{
	Piece piece;
	uint64_t va = 0;
	while (piece.len < len) {
		const uint64_t at = iova + piece.len;
		if (at > last_ || at < iova) {
			piece.reason = FaultReason::beyond_aperture;
			break;
		}
		const soft::Leaf leaf = pages_.find(at);
		if (leaf.entry.empty() || !leaf.entry.allows(bits(access))) {
			piece.reason = missing_right(leaf, bits(access));
			if (piece.len != 0 && piece.reason == FaultReason::not_present)
				piece.reason = FaultReason::crosses;
			break;
		}
		if (piece.len == 0)
			va = leaf.va(at);
		if (leaf.va(at) != va + piece.len) {
			piece.reason = FaultReason::split;
			break;
		}
		piece.len += std::min(leaf.left(at), len - piece.len);
	}
	piece.va = reinterpret_cast<void *>(va);
	return piece;
}

[[gnu::noinline]] Translation SoftIommu::translate_slow(uint64_t iova, uint64_t len, Access access)
{
	const uint64_t least = std::max<uint64_t>(len, 1);
	const Piece piece = reach(iova, least, access);
	if (piece.len == least)
		return {piece.va, FaultReason::none};
	return {nullptr, fault(iova, len, access, iova + piece.len, piece.reason)};
}

Piece SoftIommu::translate_some(uint64_t iova, uint64_t len, Access access)
{
	Piece piece = reach(iova, std::max<uint64_t>(len, 1), access);
	if (piece)
		return {piece.va, std::min(piece.len, len), FaultReason::none};
	return {nullptr, 0, fault(iova, len, access, iova, piece.reason)};
}

FaultReason SoftIommu::fault(uint64_t iova, uint64_t len, Access access, uint64_t at,
			     FaultReason why)
{
	faults_.add({.number = 0, .iova = iova, .len = len, .at = at, .access = access, .reason = why});
	return why;
}

}  // namespace iovad::dma
