// SPDX-License-Identifier: BSD-3-Clause
// Random instructions on domains of all kinds, each result compared with an oracle's.
//
//   IOVAD_TEST_SEED=N       other instructions
//   IOVAD_TEST_REPLAY=FILE  run the list of instructions that a failure printed
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "../test_domain.h"
#include "model_runner.h"

namespace iovad::test {
namespace {

constexpr uint64_t kMiB = 1 << 20, kGiB = 1 << 30;
constexpr uint32_t kNoCache = IOVAD_DOMAIN_F_NO_CACHE, kDebug = IOVAD_DOMAIN_F_DEBUG;

const ModelSpace kSpaces[] = {
	{"tiny_exact", kPage, kPage, 41 * kPage - 1, kNoCache, 0, 0, 8, 6, 3000, 1, false},
	{"tiny_cached", kPage, kPage, 129 * kPage - 1, 0, 50, 0, 8, 20, 3000, 1, false},
	{"small_debug", 16 * kPage, 0, 700 * 16 * kPage, kDebug, 0, 0, 100, 20, 3000, 1, false},
	{"small_cached", kPage, 5 * kPage, 1205 * kPage - 1, 0, 50, 0, 70, 60, 4000, 1, false},
	{"straddling_cached", kMiB, k4GiB - 700 * kMiB, k4GiB + 900 * kMiB, 0, 40, 0, 70, 60, 4000, 1, false},
	{"straddling_exact", kMiB, k4GiB - 700 * kMiB, k4GiB + 900 * kMiB, kNoCache, 0, 0, 70, 60, 3000, 1, false},
	{"gigabytes_cached", kGiB, 0, (uint64_t{1} << 40) - 1, 0, 25, 0, 70, 40, 3000, 1, false},
	{"all_of_64_bits", kGiB, kGiB + 1, kNoLimit, 0, 0, 0, 500, 300, 3000, 16, false},
	{"wide_exact", kPage, 0, 0xFFFFFFFFFFFF, kNoCache, 0, 0, 2000, 40, 3000, 16, false},
	{"wide_cached", kPage, 0, 0xFFFFFFFFFFFF, 0, 0, 0, 70, 300, 6000, 16, false},
	{"few_nodes_exact", kPage, 0, 0xFFFFFFFFFF, kNoCache, 0, 48, 200, 400, 3000, 1, true},
	{"few_nodes_cached", kPage, 0, 0xFFFFFFFFFF, 0, 0, 48, 70, 400, 3000, 1, true},
};

uint64_t seed()
{
	if (const char *given = std::getenv("IOVAD_TEST_SEED"))
		return std::strtoull(given, nullptr, 0);
	return 20261121;  // any; the same for all, so that a failure is everybody's
}

// What is left of a failing list when pieces without which it fails too are cut out. Each
// run may leave a broken domain behind, so there is an end to it.
Program shrink(const ModelSpace &space, Program failing)
{
	int runs = 100;
	const auto fails = [&](const Program &p) { return runs-- > 0 && !ModelRunner(space).run(p).empty(); };
	for (size_t piece = failing.size() / 2; piece > 0; piece /= 2) {
		for (size_t at = 0; at < failing.size();) {
			Program less(failing.begin(), failing.begin() + static_cast<ptrdiff_t>(at));
			less.insert(less.end(), failing.begin() + static_cast<ptrdiff_t>(std::min(at + piece, failing.size())),
				    failing.end());
			if (fails(less))
				failing = less;
			else
				at += piece;
		}
	}
	return failing;
}

class Model : public testing::TestWithParam<ModelSpace> {};

INSTANTIATE_TEST_SUITE_P(Spaces, Model, testing::ValuesIn(kSpaces),
			 [](const auto &p) { return std::string(p.param.name); });

TEST_P(Model, DoesWhatTheOracleSays)
{
	const ModelSpace &space = GetParam();
	const uint64_t n = seed();
	std::cout << "IOVAD_TEST_SEED=" << n << std::endl;
	std::mt19937_64 random(n);
	const Program program = random_program(space, random);
	ModelRunner runner(space);
	const std::string wrong = runner.run(program);
	if (!wrong.empty()) {
		std::cerr << "For IOVAD_TEST_REPLAY, shortened:\n";
		print_program(std::cerr, space, shrink(space, program));
		FAIL() << wrong;
	}

	// Was everything tried?
	for (const Op op : {Op::alloc, Op::free, Op::alloc_bulk, Op::free_bulk, Op::alloc_range, Op::free_range,
			    Op::reserve, Op::unreserve})
		EXPECT_GT(runner.succeeded(op), 0u) << static_cast<int>(op);
	const iovad_domain_stats s = runner.stats();
	EXPECT_GT(s.tree_allocs, 0u);
	EXPECT_GT(s.tree_frees, 0u);
	EXPECT_GT(s.fail_nospace, 0u);
	EXPECT_EQ(space.few_nodes, s.fail_again > 0);
	if (space.exact()) {
		EXPECT_GT(s.bad_frees, 0u);
	} else {
		EXPECT_EQ(0u, s.bad_frees);
		EXPECT_GT(s.cache_hits, 0u);
		EXPECT_GT(s.depot_hits, 0u);
		EXPECT_GT(s.reclaims, 0u);
	}
}

// The list of a file, or where none is given, a list that was printed just now.
TEST(ModelReplay, RunsAPrintedList)
{
	std::stringstream text;
	if (const char *path = std::getenv("IOVAD_TEST_REPLAY")) {
		std::ifstream file(path);
		text << file.rdbuf();
	} else {
		std::mt19937_64 random(1);
		print_program(text, kSpaces[0], random_program(kSpaces[0], random));
	}
	std::string name;
	Program program;
	ASSERT_TRUE(read_program(text, name, program));
	const auto space = std::find_if(std::begin(kSpaces), std::end(kSpaces),
					[&](const ModelSpace &s) { return name == s.name; });
	ASSERT_NE(std::end(kSpaces), space) << name;
	EXPECT_EQ("", ModelRunner(*space).run(program));

	std::stringstream again;
	print_program(again, *space, program);
	EXPECT_EQ(text.str(), again.str());
}

}  // namespace
}  // namespace iovad::test
