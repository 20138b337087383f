// SPDX-License-Identifier: BSD-3-Clause
// Memory that domains get as they grow, by several threads at once.
#include <algorithm>
#include <atomic>
#include <cstddef>

#include <gtest/gtest.h>

#include <rte_malloc.h>
#include <rte_memory.h>

#include "../crew.h"
#include "eal/domain/memory.h"

namespace iovad::test {
namespace {

unsigned allocations()
{
	rte_malloc_socket_stats stats;
	EXPECT_EQ(0, rte_malloc_get_socket_stats(static_cast<int>(rte_socket_id()), &stats));
	return stats.alloc_count;
}

TEST(DomainMemoryThreads, AllThatWasTakenGoesWithIt)
{
	constexpr unsigned kEach = 20000;
	constexpr size_t kBytes = 64;
	Crew::run([](unsigned) {});
	const unsigned before = allocations();
	{
		eal::DomainMemory memory(static_cast<int>(rte_socket_id()));
		std::atomic<uint64_t> wrong = 0;
		Crew::run([&](unsigned actor) {
			for (unsigned i = 0; i < kEach; ++i) {
				auto *mine = static_cast<std::byte *>(memory.take(kBytes, 64));
				wrong += !mine || std::any_of(mine, mine + kBytes, [](std::byte b) { return b != std::byte{0}; });
				if (mine)
					std::fill(mine, mine + kBytes, static_cast<std::byte>(actor + 1));
			}
		});
		EXPECT_EQ(0u, wrong);
		EXPECT_EQ(before + kEach * Crew::kActors, allocations());
	}
	EXPECT_EQ(before, allocations());
}

}  // namespace
}  // namespace iovad::test
