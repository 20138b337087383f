// SPDX-License-Identifier: BSD-3-Clause
// The nodes of a tree, handed out and taken back in constant time, under the lock of
// whoever owns the tree. A plain struct in shared memory.
//
// The memory that it begins with is its base; more can be added while it is used. A node
// is known by its signed distance from the base, so that what is added may lie on either
// side and finding a node is one multiplication and one addition all the same. Memory
// that was added waits in a list, with its length in its own first node, until what came
// before is used up: adding touches nothing else of it.
#pragma once

#include <cstdint>
#include <limits>

#include "core/range_tree/journal.h"

namespace iovad::core {

class NodePool {
public:
	static constexpr uint32_t kMost = std::numeric_limits<NodeRef>::max();  // to begin with

	void init(void *memory, uint32_t capacity)
	{
		base_ = static_cast<std::byte *>(memory);
		capacity_ = capacity;
		fresh_ = 0;
		fresh_left_ = capacity;
		chunks_left_ = freed_ = 0;
		chunk_head_ = freed_head_ = 0;
		journal_ = nullptr;
	}

	// From now on changes are noted there; it stays. note() is to be called before a node changes.
	void keep(Journal &journal) { journal_ = &journal; }
	Journal *journal() const { return journal_; }
	void note(void *node) const
	{
		if (journal_) [[unlikely]]
			journal_->note(node, kNodeBytes);
	}

	uint32_t capacity() const { return capacity_; }
	uint32_t available() const { return freed_ + fresh_left_ + chunks_left_; }
	uint32_t used() const { return capacity_ - available(); }

	// The memory must stay for as long as the pool, and no node of it may be in the pool
	// yet. A node is lost where it is not whole nodes away from the base. False: nothing of
	// it can be used, since not one node fits or it is more than 1 TiB away.
	bool add(void *memory, size_t bytes);

	// The caller has made sure that one is available.
	NodeRef take()
	{
		if (freed_ != 0) {
			const NodeRef ref = freed_head_;
			note(at(ref));
			freed_head_ = *static_cast<NodeRef *>(at(ref));
			--freed_;
			return ref;
		}
		if (fresh_left_ == 0) [[unlikely]]
			next_chunk();
		--fresh_left_;
		note(at(fresh_));
		return fresh_++;
	}

	void give(NodeRef ref)
	{
		note(at(ref));
		*static_cast<NodeRef *>(at(ref)) = freed_head_;
		freed_head_ = ref;
		++freed_;
	}

	Leaf &leaf(NodeRef ref) const { return *static_cast<Leaf *>(at(ref)); }
	Inner &inner(NodeRef ref) const { return *static_cast<Inner *>(at(ref)); }

	// Whether the counts are those of the list of chunks, which is walked.
	bool sound() const { return waiting() == chunks_left_ && available() <= capacity_; }

private:
	// In the first node of memory that was added and not yet used.
	struct Chunk {
		NodeRef next;
		uint32_t count;
	};

	void *at(NodeRef ref) const { return base_ + ptrdiff_t{ref} * ptrdiff_t{kNodeBytes}; }
	Chunk &chunk(NodeRef ref) const { return *static_cast<Chunk *>(at(ref)); }
	void next_chunk();
	uint64_t waiting() const;

	std::byte *base_;
	uint32_t capacity_;
	uint32_t fresh_left_;   // nodes that were never used, from fresh_ on
	NodeRef fresh_;
	uint32_t chunks_left_;  // nodes in the list of chunks
	NodeRef chunk_head_;
	uint32_t freed_;        // nodes in the list of freed ones
	NodeRef freed_head_;
	Journal *journal_;      // null: none is kept
};

}  // namespace iovad::core
