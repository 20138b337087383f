// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce/chunks.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "eal/bounce/conf.h"
#include "eal/status_errno.h"

namespace iovad::eal {

using core::ChunkState;
using core::Status;

static_assert(kBounceChunk == core::kChunkBytes);

BounceChunks::BounceChunks(iovad_domain &domain, core::BounceSlots &slots, DomainMemory &metadata, const char *name,
			   int socket_id, const BounceHooks &hooks)
	: domain_(domain), slots_(slots), metadata_(metadata), hooks_(hooks), memory_(name, socket_id)
{
	leaving_.reserve(slots.chunks());
}

bool BounceChunks::is_usable(unsigned index) const
{
	return slots_.chunk_state(index) == ChunkState::absent &&
	       std::none_of(leaving_.begin(), leaving_.end(), [=](const Leaving &l) { return l.index == index; });
}

unsigned BounceChunks::highest_absent() const
{
	for (unsigned index = count(); index-- > 0;) {
		if (is_usable(index))
			return index;
	}
	return kNone;
}

unsigned BounceChunks::lowest_absent() const
{
	for (unsigned index = 0; index < count(); ++index) {
		if (is_usable(index))
			return index;
	}
	return kNone;
}

BounceChunks::Refusal BounceChunks::bring(unsigned index, ChunkState state, uint64_t expected)
{
	void *const va = memory_.take(expected);
	if (!va)
		return {ENOMEM, "EAL has no memory in pages of 2 MiB, or not on this socket"};
	if (const int error = hooks_.prepare ? hooks_.prepare(va, kBounceChunk, hooks_.opaque) : 0) {
		memory_.give_back(va);
		return {-error, "prepare() refuses it"};
	}
	if (const Refusal refusal = map(index, va); refusal.error != 0) {
		give_back(va);
		return refusal;
	}
	const Refusal refusal = admit(index, va, state);
	if (refusal.error != 0)
		unmap_or_leave({index, va, state});
	return refusal;
}

BounceChunks::Refusal BounceChunks::map(unsigned index, void *va)
try {
	const dma::Outcome o = domain_.mapper->add_in_window(iova(index), va, kBounceChunk, dma::kBidirectional);
	return {-negative_errno(o.status), *o.advice ? o.advice : "it cannot be mapped"};
} catch (const std::bad_alloc &) {
	return {ENOMEM, "no memory to map it"};
}

BounceChunks::Refusal BounceChunks::admit(unsigned index, void *va, ChunkState state)
{
	const bool known = slots_.has_records(index);
	if (!known && !spare_records_)
		spare_records_ = metadata_.take(sizeof(core::ChunkRecords), alignof(core::ChunkRecords));
	if (!known && !spare_records_)
		return {ENOMEM, "EAL has no memory for its slots' records"};
	const Status status = slots_.add_chunk(index, va, known ? nullptr : spare_records_, state);
	if (slots_.has_records(index) && !known)
		spare_records_ = nullptr;
	return {-negative_errno(status), status == Status::again ? "no tree nodes for its slots"
							     : "its memory is too far from the pool's state"};
}

bool BounceChunks::remove(unsigned index)
{
	if (is_paused() || !take_out(index))
		return false;
	const Leaving chunk = leaving_.back();
	leaving_.pop_back();
	unmap_or_leave(chunk);
	return true;
}

// No slot is in it any more, and it is leaving.
bool BounceChunks::take_out(unsigned index)
{
	const ChunkState state = slots_.chunk_state(index);
	void *const va = slots_.chunk_va(index);
	if (slots_.remove_chunk(index) != Status::ok)
		return false;
	leaving_.push_back({index, va, state});
	return true;
}

bool BounceChunks::remove_all()
{
	const size_t before = leaving_.size();
	bool reclaimed = false;
	for (unsigned index = 0; index < count(); ++index) {
		if (slots_.chunk_state(index) == ChunkState::absent)
			continue;
		// Once for all of them.
		if (!std::exchange(reclaimed, true))
			slots_.domain().reclaim();
		if (!take_out(index)) {
			bring_back(before);
			return false;
		}
	}
	return true;
}

// Without a tree node for one the pool is so much smaller.
void BounceChunks::bring_back(size_t from)
{
	for (size_t i = leaving_.size(); i-- > from;) {
		const Leaving &chunk = leaving_[i];
		if (slots_.add_chunk(chunk.index, chunk.va, nullptr, chunk.state) == Status::ok)
			leaving_.erase(leaving_.begin() + static_cast<ptrdiff_t>(i));
	}
}

// False: it is leaving.
bool BounceChunks::unmap(Leaving &chunk)
{
	if (chunk.mapped) {
		dma::Outcome o;
		try {
			o = domain_.mapper->remove_from_window(iova(chunk.index));
		} catch (const std::bad_alloc &) {
			o = {Status::busy};  // nothing has changed: as if it were
		}
		if (*o.advice)
			domain_.log.backend_failed("unmap bounce memory at", iova(chunk.index), kBounceChunk, o);
		chunk.mapped = o.status == Status::busy;
		if (chunk.mapped)
			chunk.busy_until_ns = core::now_ns() + kBusyNs;
		if (o.error == ETIMEDOUT)
			pause();
		if (!o.ok())
			return false;
		pause_ns_ = 0;
	} else if (!domain_.mapper->gone(iova(chunk.index))) {
		return false;
	}
	give_back(chunk.va);
	return true;
}

void BounceChunks::unmap_or_leave(const Leaving &chunk)
{
	Leaving leaving = chunk;
	if (!unmap(leaving))
		leaving_.push_back(leaving);
}

void BounceChunks::give_back(void *va)
{
	if (hooks_.release)
		hooks_.release(va, kBounceChunk, hooks_.opaque);
	memory_.give_back(va);
}

// The next one would take as long.
void BounceChunks::pause()
{
	pause_ns_ = std::clamp(2 * pause_ns_, kFirstPauseNs, kLongestPauseNs);
	retry_at_ns_ = core::now_ns() + pause_ns_;
}

void BounceChunks::end_pauses()
{
	retry_at_ns_ = 0;
	for (Leaving &chunk : leaving_)
		chunk.busy_until_ns = 0;
}

bool BounceChunks::may_try(const Leaving &chunk) const
{
	if (!chunk.mapped)
		return domain_.mapper->gone(iova(chunk.index));
	return core::now_ns() >= std::max(retry_at_ns_, chunk.busy_until_ns);
}

size_t BounceChunks::settle(BounceSlice &slice)
{
	for (size_t i = 0; i < leaving_.size();) {
		if (!may_try(leaving_[i])) {
			++i;
			continue;
		}
		if (!slice.take())
			break;
		if (unmap(leaving_[i]))
			leaving_.erase(leaving_.begin() + static_cast<ptrdiff_t>(i));
		else
			++i;
	}
	return leaving_.size();
}

}  // namespace iovad::eal
