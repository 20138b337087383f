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
	const int64_t first = (distance + lost) / kBytes;
	if (bytes < static_cast<size_t>(lost + kBytes))
		return false;
	const size_t count = (bytes - static_cast<size_t>(lost)) / kNodeBytes;
	using Limits = std::numeric_limits<NodeRef>;
	if (first < Limits::min() || first > Limits::max() ||
	    count > static_cast<size_t>(Limits::max() - first))
		return false;
	const auto ref = static_cast<NodeRef>(first);
	chunk(ref) = {chunk_head_, static_cast<uint32_t>(count)};
	chunk_head_ = ref;
	chunks_left_ += static_cast<uint32_t>(count);
	capacity_ += static_cast<uint32_t>(count);
	return true;
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

}  // namespace iovad::core
