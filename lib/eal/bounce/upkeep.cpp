// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce/upkeep.h"

#include <algorithm>
#include <cinttypes>

#include <rte_errno.h>

#include "eal/log/log.h"

namespace iovad::eal {

using core::ChunkState;
using core::ChunkUse;
using core::kChunkBytes;

void BouncePeak::note(uint64_t bytes, uint64_t now)
{
	if (now >= period_end_ns_) {
		std::copy(peak_.begin() + 1, peak_.end(), peak_.begin());
		peak_.back() = 0;
		periods_ += periods_ < kPeriods && period_end_ns_ != 0;
		period_end_ns_ = now + kPeriodNs;
	}
	peak_.back() = std::max(peak_.back(), bytes);
}

uint64_t BouncePeak::bytes() const { return *std::max_element(peak_.begin(), peak_.end()); }

BounceUpkeep::BounceUpkeep(const char *name, core::BounceSlots &slots, BounceChunks &chunks, uint64_t initial_chunks,
			   bool has_standby)
	: name_(name), slots_(slots), chunks_(chunks), initial_(initial_chunks), has_standby_(has_standby)
{
	transients_.reserve(slots.chunks());
}

unsigned BounceUpkeep::pass(uint64_t now, BounceSlice &slice)
{
	chunks_.settle(slice);
	peak_.note(slots_.take_peak(), now);
	note_transient(now);
	const unsigned came = grow(now, slice);
	const unsigned went = (came == 0 ? shrink(now, slice) : 0) + end_transients(now, slice);
	const unsigned ready = stand_by(now, slice);
	return came + went + ready + core_.trim(slots_.domain(), now);
}

// Somebody missed, and took what stood by.
void BounceUpkeep::note_transient(uint64_t now)
{
	if (standby_ == BounceChunks::kNone || slots_.chunk_state(standby_) == ChunkState::standby)
		return;
	transients_.push_back({standby_, now});
	standby_ = BounceChunks::kNone;
	grows_.fetch_add(1, std::memory_order_relaxed);
}

unsigned BounceUpkeep::grow(uint64_t now, BounceSlice &slice)
{
	const uint64_t wanted = slots_.take_wanted(), out = slots_.out_bytes();
	const bool due = wanted != 0 || size() - std::min(size(), out) < size() / 4;
	if (due && owed_ == 0)
		owed_ = std::max({uint64_t{1}, size() / kChunkBytes / 4, (wanted + kChunkBytes - 1) / kChunkBytes});
	unsigned came = 0;
	for (; owed_ != 0 && came < kMostComing; ++came, --owed_) {
		const unsigned index = chunks_.highest_absent();
		const bool can = can_come(index, now);
		if (can && !slice.take())
			break;
		if (!can || !bring_one(index, now)) {  // there are no more, or no more memory for now
			owed_ = 0;
			break;
		}
	}
	grows_.fetch_add(came != 0, std::memory_order_relaxed);
	return came;
}

// To ask EAL in vain is slow.
bool BounceUpkeep::can_come(unsigned index, uint64_t now) const
{
	return index == BounceChunks::kNone ? standby_ != BounceChunks::kNone || !transients_.empty()
					    : now >= no_memory_before_ns_;
}

bool BounceUpkeep::bring_one(unsigned index, uint64_t now)
{
	return index == BounceChunks::kNone
		       ? keep_transient()
		       : bring(index, ChunkState::serving, std::min<uint64_t>(owed_, kMostComing), now);
}

bool BounceUpkeep::bring(unsigned index, ChunkState state, uint64_t expected, uint64_t now)
{
	const BounceChunks::Refusal refusal = chunks_.bring(index, state, expected);
	if (refusal.error == 0)
		return true;
	no_memory_before_ns_ = now + kPauseNs;
	const LogLimit::Verdict verdict = refusals_.ask(now);
	if (verdict.withheld != 0)
		IOVAD_LOG(WARNING, "bounce pool %s: %" PRIu64 " more times it could not grow", name_, verdict.withheld);
	if (verdict.write)
		IOVAD_LOG(WARNING, "bounce pool %s: cannot grow by 2 MiB (%s): %s", name_, rte_strerror(refusal.error), refusal.why);
	return false;
}

// The window is full: what stands by, or is transient, is needed for longer.
bool BounceUpkeep::keep_transient()
{
	if (standby_ != BounceChunks::kNone && slots_.serve_chunk(standby_) == core::Status::ok) {
		standby_ = BounceChunks::kNone;
		return true;
	}
	if (transients_.empty() || slots_.serve_chunk(transients_.back().index) != core::Status::ok)
		return false;
	transients_.pop_back();
	return true;
}

// To empty the caches of lcores takes long, and they fill them again: not often.
bool BounceUpkeep::may_go(ChunkUse use, uint64_t now) const
{
	return use == ChunkUse::free || (use == ChunkUse::idle && now >= no_reclaim_before_ns_);
}

bool BounceUpkeep::remove(unsigned index, ChunkUse use, uint64_t now)
{
	if (use == ChunkUse::idle)
		no_reclaim_before_ns_ = now + kQuietNs;
	return chunks_.remove(index);
}

unsigned BounceUpkeep::shrink(uint64_t now, BounceSlice &slice)
{
	const uint64_t twice = 2 * peak_.bytes();
	uint64_t left = lasting();
	if (owed_ != 0 || !peak_.known() || twice >= left * kChunkBytes || chunks_.is_paused())
		return 0;
	const uint64_t least = std::max(initial_, (twice + kChunkBytes - 1) / kChunkBytes);
	unsigned went = 0, looked = 0;
	for (unsigned steps = 0; left > least && went < kMostGoing && looked < kMostLooked && steps < chunks_.count(); ++steps) {
		const unsigned index = look_from_++;
		if (look_from_ == chunks_.count())
			look_from_ = 0;
		if (slots_.chunk_state(index) != ChunkState::serving)
			continue;
		++looked;
		const ChunkUse use = slots_.chunk_use(index);
		if (!may_go(use, now))
			continue;
		if (chunks_.is_paused() || !slice.take())
			break;
		if (!remove(index, use, now))
			continue;
		--left;
		++went;
	}
	if (left <= least || looked < kMostLooked)
		look_from_ = 0;
	shrinks_.fetch_add(went != 0, std::memory_order_relaxed);
	return went;
}

// Some of them, in turn.
unsigned BounceUpkeep::end_transients(uint64_t now, BounceSlice &slice)
{
	if (chunks_.is_paused())
		return 0;
	unsigned went = 0;
	for (size_t looked = std::min<size_t>(transients_.size(), kMostLooked); looked != 0 && went < kMostGoing; --looked) {
		if (next_transient_ >= transients_.size())
			next_transient_ = 0;
		Transient &transient = transients_[next_transient_];
		const ChunkUse use = slots_.chunk_use(transient.index);
		if (!is_quiet(transient, use, now)) {
			++next_transient_;
			continue;
		}
		if (chunks_.is_paused() || !slice.take())
			break;
		if (!remove(transient.index, use, now)) {
			++next_transient_;
			continue;
		}
		transient = transients_.back();
		transients_.pop_back();
		++went;
	}
	shrinks_.fetch_add(went, std::memory_order_relaxed);
	return went;
}

bool BounceUpkeep::is_quiet(Transient &transient, ChunkUse use, uint64_t now) const
{
	if (use == ChunkUse::busy)
		transient.busy_ns = now;
	return now - transient.busy_ns >= kQuietNs && may_go(use, now);
}

unsigned BounceUpkeep::stand_by(uint64_t now, BounceSlice &slice)
{
	if (!has_standby_ || standby_ != BounceChunks::kNone || now < no_memory_before_ns_)
		return 0;
	const unsigned index = chunks_.lowest_absent();
	if (index == BounceChunks::kNone || !slice.take() || !bring(index, ChunkState::standby, 1, now))
		return 0;
	standby_ = index;
	return 1;
}

}  // namespace iovad::eal
