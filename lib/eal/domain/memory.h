// SPDX-License-Identifier: BSD-3-Clause
// Memory that a domain gets as it grows, from EAL's heap, so that secondary processes see it
// at the same address. All of it goes with the domain.
#pragma once

#include <atomic>
#include <cstddef>

namespace iovad::eal {

class DomainMemory {
public:
	explicit DomainMemory(int socket_id) : socket_id_(socket_id) {}
	~DomainMemory();
	DomainMemory(const DomainMemory &) = delete;
	DomainMemory &operator=(const DomainMemory &) = delete;

	// Zeroed memory, aligned to a power of two, or null: EAL has no more. Any thread; may block.
	void *take(size_t bytes, size_t alignment);

private:
	struct Chunk;

	const int socket_id_;
	std::atomic<Chunk *> chunks_ = nullptr;
};

}  // namespace iovad::eal
