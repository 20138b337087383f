// SPDX-License-Identifier: BSD-3-Clause
#include "core/range_tree/journal.h"

#include <atomic>
#include <cstring>

namespace iovad::core {

namespace {

void fence() { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

void Journal::note(void *at, uint32_t bytes)
{
	if (n_ == kMost) [[unlikely]]
		__builtin_trap();
	Note &note = notes_[n_];
	note.at = at;
	note.bytes = bytes;
	std::memcpy(note.was, at, bytes);
	fence();
	++n_;
	fence();
}

void Journal::end()
{
	fence();
	n_ = 0;
	fence();
}

void Journal::undo()
{
	for (uint32_t i = n_; i-- > 0;)
		std::memcpy(notes_[i].at, notes_[i].was, notes_[i].bytes);
	end();
}

}  // namespace iovad::core
