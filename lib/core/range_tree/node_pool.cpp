// SPDX-License-Identifier: BSD-3-Clause
#include "core/range_tree/node_pool.h"

namespace iovad::core {

bool NodePool::add(void *memory, size_t bytes)
{
	// As numbers: the difference of pointers into different memory has no meaning in C++.
	const auto distance = static_cast<int64_t>(reinterpret_cast<uintptr_t>(memory) -
						   reinterpret_cast<uintptr_t>(base_));
	constexpr int64_t kBytes = kNodeBytes;
	const int64_t lost = -distance & (kBytes - 1);
	const int64_t first = (distance + lost) / kBytes * kLeaves;
	if (bytes < static_cast<size_t>(lost + kBytes))
		return false;
	const size_t count = (bytes - static_cast<size_t>(lost)) / kNodeBytes;
	using Limits = std::numeric_limits<NodeRef>;
	if (first < Limits::min() || first > Limits::max() ||
	    count > static_cast<size_t>(Limits::max() - first) / kLeaves)
		return false;
	const auto ref = static_cast<NodeRef>(first);
	chunk(ref) = {chunk_head_, static_cast<uint32_t>(count)};
	chunk_head_ = ref;
	chunks_left_ += static_cast<uint32_t>(count);
	capacity_ += static_cast<uint32_t>(count);
	return true;
}

// In a ring, so that neither end is special.
void NodePool::link(NodeRef ref)
{
	note(leaf(ref));
	leaf(ref).n = 0;
	FreeLeaf &self = free_leaf(ref);
	self = {ref, ref};
	if (free_leaves_++ != 0) {
		self = {free_leaf(free_leaf_head_).before, free_leaf_head_};
		note(leaf(self.before));
		note(leaf(self.after));
		free_leaf(self.before).after = free_leaf(self.after).before = ref;
	}
	free_leaf_head_ = ref;
}

void NodePool::unlink(NodeRef ref)
{
	const FreeLeaf self = free_leaf(ref);
	for (const NodeRef changed : {ref, self.before, self.after})
		note(leaf(changed));
	free_leaf(self.before).after = self.after;
	free_leaf(self.after).before = self.before;
	free_leaf_head_ = self.after;
	--free_leaves_;
}

// All of it becomes fresh, with the node that said how long it is.
void NodePool::next_chunk()
{
	const Chunk next = chunk(chunk_head_);
	fresh_ = chunk_head_;
	fresh_left_ = next.count;
	chunk_head_ = next.next;
	chunks_left_ -= next.count;
}

uint64_t NodePool::waiting() const
{
	uint64_t count = 0;
	for (NodeRef ref = chunk_head_; count < chunks_left_; ref = chunk(ref).next)
		count += chunk(ref).count;
	return count;
}

bool NodePool::free_leaves_sound() const
{
	NodeRef ref = free_leaf_head_;
	for (uint32_t i = 0; i < free_leaves_; ++i, ref = free_leaf(ref).after) {
		if (leaf(ref).n != 0 || leaf(ref ^ 1).n == 0 || free_leaf(free_leaf(ref).after).before != ref)
			return false;
	}
	return free_leaves_ == 0 || ref == free_leaf_head_;
}

}  // namespace iovad::core
