// SPDX-License-Identifier: BSD-3-Clause
// Nodes of one fixed memory, handed out and taken back in constant time, under the
// lock of whoever owns the tree. A plain struct in shared memory.
#pragma once

#include "core/range_tree/node.h"

namespace iovad::core {

class NodePool {
public:
	void init(void *memory, uint32_t capacity)
	{
		base_ = static_cast<std::byte *>(memory);
		capacity_ = capacity;
		fresh_ = 0;
		freed_ = 0;
		freed_head_ = 0;
	}

	uint32_t capacity() const { return capacity_; }
	uint32_t available() const { return capacity_ - fresh_ + freed_; }
	uint32_t used() const { return fresh_ - freed_; }

	// The caller has made sure that one is available.
	NodeRef take()
	{
		if (freed_ == 0)
			return fresh_++;
		const NodeRef ref = freed_head_;
		freed_head_ = *static_cast<NodeRef *>(at(ref));
		--freed_;
		return ref;
	}

	void give(NodeRef ref)
	{
		*static_cast<NodeRef *>(at(ref)) = freed_head_;
		freed_head_ = ref;
		++freed_;
	}

	Leaf &leaf(NodeRef ref) const { return *static_cast<Leaf *>(at(ref)); }
	Inner &inner(NodeRef ref) const { return *static_cast<Inner *>(at(ref)); }

private:
	void *at(NodeRef ref) const { return base_ + size_t{ref} * kNodeBytes; }

	std::byte *base_;
	uint32_t capacity_;
	uint32_t fresh_;       // nodes [fresh_, capacity_) were never used
	uint32_t freed_;       // nodes in the list of freed ones
	NodeRef freed_head_;
};

}  // namespace iovad::core
