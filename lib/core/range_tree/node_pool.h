// SPDX-License-Identifier: BSD-3-Clause
// The nodes of a tree, handed out and taken back in constant time, under the lock of
// whoever owns the tree. A plain struct in shared memory.
//
// A node is an inner node, or cut in two for leaves until both have come back.
//
// The memory that it begins with is its base; more can be added while it is used. What is taken
// is known by its signed distance from the base, in leaves, so that what is added may lie on either
// side and finding it is one multiplication and one addition all the same. Memory
// that was added waits in a list, with its length in its own first node, until what came
// before is used up: adding touches nothing else of it.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include "core/range_tree/journal.h"

namespace iovad::core {

class NodePool {
public:
	static constexpr uint32_t kMost = std::numeric_limits<NodeRef>::max() / 2;  // nodes to begin with

	void init(void *memory, uint32_t capacity)
	{
		base_ = static_cast<std::byte *>(memory);
		capacity_ = capacity;
		fresh_ = 0;
		fresh_left_ = capacity;
		chunks_left_ = freed_ = free_leaves_ = 0;
		chunk_head_ = freed_head_ = free_leaf_head_ = 0;
		journal_ = nullptr;
	}

	// From now on changes are noted there; it stays. note() is to be called before a node changes.
	void keep(Journal &journal) { journal_ = &journal; }
	Journal *journal() const { return journal_; }
	template <class Node> void note(Node &node) const
	{
		if (journal_) [[unlikely]]
			journal_->note(&node, sizeof node);
	}

	// In nodes.
	uint32_t capacity() const { return capacity_; }
	uint32_t available() const { return whole() + free_leaves_ / 2; }
	uint32_t used() const { return capacity_ - available(); }
	uint64_t used_leaves() const { return 2 * uint64_t{capacity_ - whole()} - free_leaves_; }
	// Nodes that are not cut in two.
	uint32_t whole() const { return freed_ + fresh_left_ + chunks_left_; }
	bool has(uint32_t leaves, uint32_t inner) const
	{
		const uint32_t to_cut = leaves > free_leaves_ ? (leaves - free_leaves_ + 1) / 2 : 0;
		return whole() >= to_cut + inner;
	}

	// The memory must stay for as long as the pool, and no node of it may be in the pool
	// yet. A node is lost where it is not whole nodes away from the base. False: nothing of
	// it can be used, since not one node fits or it is more than 512 GiB away.
	bool add(void *memory, size_t bytes);

	// The caller has made sure that there is one.
	NodeRef take_inner()
	{
		if (freed_ != 0) {
			--freed_;
			const NodeRef ref = freed_head_;
			note(inner(ref));
			freed_head_ = *static_cast<NodeRef *>(at(ref));
			return ref;
		}
		if (fresh_left_ == 0) [[unlikely]]
			next_chunk();
		--fresh_left_;
		const NodeRef ref = fresh_;
		note(inner(ref));
		fresh_ += kLeaves;
		return ref;
	}
	NodeRef take_leaf()
	{
		if (free_leaves_ != 0) {
			const NodeRef ref = free_leaf_head_;
			unlink(ref);
			return ref;
		}
		const NodeRef ref = take_inner();
		link(ref + 1);
		return ref;
	}

	void give_inner(NodeRef ref)
	{
		note(inner(ref));
		*static_cast<NodeRef *>(at(ref)) = std::exchange(freed_head_, ref);
		++freed_;
	}
	void give_leaf(NodeRef ref)
	{
		const NodeRef other = ref ^ 1;
		if (leaf(other).n != 0) {
			link(ref);
			return;
		}
		unlink(other);
		give_inner(ref & ~1);
	}

	Leaf &leaf(NodeRef ref) const { return *static_cast<Leaf *>(at(ref)); }
	Inner &inner(NodeRef ref) const { return *static_cast<Inner *>(at(ref)); }

	// Whether the counts are those of the lists of chunks and of free leaves, which are walked.
	bool sound() const { return waiting() == chunks_left_ && free_leaves_sound() && available() <= capacity_; }

private:
	// In the first node of memory that was added and not yet used.
	struct Chunk {
		NodeRef next;
		uint32_t count;
	};

	static constexpr NodeRef kLeaves = kNodeBytes / sizeof(Leaf);

	void *at(NodeRef ref) const { return base_ + ptrdiff_t{ref} * ptrdiff_t{sizeof(Leaf)}; }
	// What is in a free half of a node that is cut; its n is 0, as that of no leaf in use.
	struct FreeLeaf {
		NodeRef before, after;
	};
	FreeLeaf &free_leaf(NodeRef ref) const { return *static_cast<FreeLeaf *>(at(ref)); }
	void link(NodeRef ref);
	void unlink(NodeRef ref);
	Chunk &chunk(NodeRef ref) const { return *static_cast<Chunk *>(at(ref)); }
	void next_chunk();
	uint64_t waiting() const;
	bool free_leaves_sound() const;

	std::byte *base_;
	uint32_t capacity_;
	uint32_t fresh_left_;   // nodes that were never used, from fresh_ on
	NodeRef fresh_;
	uint32_t chunks_left_;  // nodes in the list of chunks
	NodeRef chunk_head_;
	uint32_t freed_;        // nodes in the list of freed ones
	NodeRef freed_head_;
	uint32_t free_leaves_;  // of nodes that were cut in two
	NodeRef free_leaf_head_;
	Journal *journal_;      // null: none is kept
};

}  // namespace iovad::core
