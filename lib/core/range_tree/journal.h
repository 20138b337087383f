// SPDX-License-Identifier: BSD-3-Clause
// What a change of the tree, or beside it, overwrites, so that it can be undone if a process is killed in the middle
// of it. A plain struct in shared memory, under the tree's lock; kept only where processes share the tree.
//
// Others see the stores of a dead process in program order; so fences are for the compiler alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/range_tree/node.h"

namespace iovad::core {

class Journal {
public:
	// Before the bytes change, a node or less. Noted twice, the first note counts.
	void note(void *at, uint32_t bytes);
	// The change is complete.
	void end();
	// Of a process that died: as it was before the change that was not complete.
	void undo();

	// While it lasts, a change under way, at first of these bytes; none is kept where there is no journal.
	class [[nodiscard]] Change {
	public:
		// Always inlined, as code for each instruction set has it.
		[[gnu::always_inline]] Change(Journal *journal, void *at, uint32_t bytes) : journal_(journal)
		{
			if (journal_) [[unlikely]]
				journal_->note(at, bytes);
		}
		[[gnu::always_inline]] ~Change()
		{
			if (journal_) [[unlikely]]
				journal_->end();
		}
		Change(const Change &) = delete;
		Change &operator=(const Change &) = delete;

	protected:
		Journal *const journal_;
	};

private:
	// Four paths, what is merged and given back beside them twice, and the tree and the pool: of
	// the 10 levels that 2^31 nodes can have at worst.
	static constexpr uint32_t kMost = 128;

	struct Note {
		void *at;
		uint32_t bytes;
		std::byte was[kNodeBytes];
	};

	uint32_t n_ = 0;
	Note notes_[kMost];
};

}  // namespace iovad::core
