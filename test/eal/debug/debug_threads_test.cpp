// SPDX-License-Identifier: BSD-3-Clause
// Debug mode beside all kinds of threads, which make no mistake, and some that do.
#include <array>
#include <atomic>
#include <cerrno>
#include <vector>

#include "../crew.h"
#include "debug_fixture.h"
#include "iovad/iovad_control.h"

namespace iovad::test {
namespace {

constexpr unsigned kRounds = 300;
alignas(kPage) char memory[Crew::kActors * 4 * kPage];

TEST(DebugThreads, WhatIsRightIsNoFinding)
{
	const TestDomain d(debug_conf(IOVAD_BACKEND_SOFT, IOVAD_UNMAP_LAZY));
	ASSERT_EQ(0, iovad_control_thread_start());
	rte_iova_t region;
	ASSERT_EQ(0, iovad_region_add(d, memory, 4 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &region));
	std::atomic<unsigned> wrong = 0;
	Crew::run([&](unsigned actor) {
		for (unsigned round = 0; round < kRounds; ++round) {
			rte_iova_t iova, shared, mine;
			wrong += iovad_alloc(d, kPage << round % 3, kNoLimit, &iova) != 0;
			// One for all, in the region; one of its own.
			wrong += iovad_map(d, memory + kPage, kPage, kNoLimit, IOVAD_TO_DEVICE, &shared) != 0;
			wrong += iovad_map(d, memory + actor * 4 * kPage, 3000, kNoLimit, IOVAD_FROM_DEVICE, &mine) != 0;
			wrong += iovad_unmap(d, shared, kPage) != 0;
			wrong += (round % 2 ? iovad_unmap_strict(d, mine, 3000) : iovad_unmap(d, mine, 3000)) != 0;
			wrong += iovad_free(d, iova, kPage << round % 3) != 0;
			if (round % 64 == 0)
				wrong += iovad_verify(d, stderr) != 0;
		}
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(0, iovad_flush(d));
	EXPECT_EQ(0, iovad_region_remove(d, memory, 4 * kPage));
	EXPECT_EQ(0, iovad_control_thread_stop());
	EXPECT_EQ(0u, sum_of_findings(d.name()));
	EXPECT_EQ(0u, number_of(findings_of(d.name()), "live"));
}

// What one allocates another frees; each frees some twice.
TEST(DebugThreads, EachMistakeIsCountedOnce)
{
	const TestDomain d(debug_conf());
	constexpr unsigned kAddresses = 40;
	std::vector<std::array<rte_iova_t, kAddresses>> of(Crew::kActors);
	std::atomic<unsigned> wrong = 0;
	Crew::run([&](unsigned actor) { wrong += iovad_alloc_bulk(d, kPage, kNoLimit, of[actor].data(), kAddresses) != 0; });
	Log log;
	Crew::run([&](unsigned actor) {
		for (const rte_iova_t iova : of[(actor + 1) % Crew::kActors]) {
			wrong += iovad_free(d, iova, kPage) != 0;
			wrong += iovad_free(d, iova, kPage) != -ENOENT;
		}
	});
	EXPECT_EQ(0u, wrong);
	const std::string answer = findings_of(d.name());
	EXPECT_EQ(Crew::kActors * kAddresses, number_of(answer, "double_free")) << answer;
	EXPECT_EQ(Crew::kActors * kAddresses, sum_of_findings(d.name()));
}

// Several at once, of one address: all but one are told.
TEST(DebugThreads, RacesForOneAddress)
{
	const TestDomain d(debug_conf());
	Log log;
	for (unsigned round = 0; round < 50; ++round) {
		const rte_iova_t iova = d.alloc(kPage);
		std::atomic<unsigned> refused = 0;
		Crew::run([&](unsigned) { refused += iovad_free(d, iova, kPage) != 0; });
		EXPECT_EQ(Crew::kActors - 1, refused);
	}
	EXPECT_EQ(50 * (Crew::kActors - 1), sum_of_findings(d.name())) << findings_of(d.name());
}

}  // namespace
}  // namespace iovad::test
