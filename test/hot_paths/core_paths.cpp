// SPDX-License-Identifier: BSD-3-Clause
// The hot paths of the core that the C API cannot show alone: two lcores on one thread, and
// the tree, by each of the instruction sets that this CPU has. Valgrind's has no AVX-512.
#include "../../bench/hard_cases.h"
#include "../unit/domain_fixture.h"
#include "hot_paths.h"

#include <array>
#include <vector>

namespace {

using namespace iovad;
using core::Isa;

constexpr unsigned kBurst = 32;
constexpr std::uint64_t kPage = core::OwnedDomain::kGranule;
constexpr std::size_t kLive = 100000;
constexpr bench::Mix kMix{.max_size = 32, .shape = bench::Shape::kPlain, .half_below_4g = false};

// Which instructions is chosen here, before each round.
using Contestant = bench::Iovad<Isa::best>;
using Ranges = bench::Population<Contestant>;

// Each is made when it is first needed, by the widest instructions: in less time.
Ranges &ranges()
{
	static Ranges ranges(kLive, kMix);
	return ranges;
}

bench::FullSpace<Contestant> &full()
{
	static bench::FullSpace<Contestant> full;
	return full;
}

core::Domain &domain()
{
	static core::OwnedDomain owned(core::OwnedDomain::config((std::uint64_t{1} << 48) - 1));
	return owned.domain;
}

std::vector<Ranges::Range> round_of_ranges;

int make_domain(unsigned)
{
	domain();
	return 0;
}

int handover(unsigned n)
{
	std::array<std::uint64_t, kBurst> iovas;
	core::Domain &d = domain();
	bool good = true;
	for (unsigned done = 0; done < n; done += kBurst) {
		for (std::uint64_t &iova : iovas)
			good &= d.alloc(0, kPage, ~std::uint64_t{0}, iova) == core::Status::ok;
		for (std::uint64_t iova : iovas)
			good &= d.free(1, iova, kPage) == core::Status::ok;
	}
	return !good;
}

template <Isa kIsa> int pick(unsigned n)
{
	Ranges &r = ranges();
	core::select_isa(kIsa);
	r.pick(round_of_ranges, n);
	return 0;
}

int give(unsigned)
{
	Contestant &c = ranges().contestant();
	for (const auto &range : round_of_ranges)
		c.give(range.pfn, range.size);
	return 0;
}

template <Isa kIsa> int give_picked(unsigned n)
{
	pick<kIsa>(n);
	give(n);
	ranges().resize(round_of_ranges);
	return 0;
}

int take(unsigned)
{
	Ranges &r = ranges();
	for (auto &range : round_of_ranges)
		range.token = r.take(range);
	return 0;
}

// Throws where a range was refused.
int put_back(unsigned)
{
	ranges().put_back(round_of_ranges);
	return 0;
}

int take_others(unsigned n)
{
	ranges().resize(round_of_ranges);
	take(n);
	return put_back(n);
}

template <Isa kIsa> int touch_full(unsigned)
{
	bench::FullSpace<Contestant> &f = full();
	core::select_isa(kIsa);
	f.before();
	return 0;
}

int refuse(unsigned n)
{
	bench::FullSpace<Contestant> &f = full();
	for (unsigned i = 0; i < n; ++i)
		f.work();
	return 0;
}

int refused(unsigned) { return !full().after(); }

}  // namespace

extern "C" {

// Declared first, as -Wmissing-declarations has it.
#define IOVAD_RUN(name, body) \
	int name(unsigned n); \
	HOT_PATH_RUN int name(unsigned n) { return body(n); }

IOVAD_RUN(handover_by_32, handover)
#define IOVAD_RUN_TREE(isa) \
	IOVAD_RUN(tree_alloc_##isa, take) \
	IOVAD_RUN(tree_free_##isa, give) \
	IOVAD_RUN(tree_refusal_##isa, refuse)
IOVAD_RUN_TREE(portable)
IOVAD_RUN_TREE(avx2)
IOVAD_RUN_TREE(avx512)

int hot_paths_set_up(void) { return 0; }

#define IOVAD_TREE_PATHS(isa) \
	{"tree_alloc_" #isa, tree_alloc_##isa, kBurst, 50, give_picked<Isa::isa>, put_back}, \
	{"tree_free_" #isa, tree_free_##isa, kBurst, 50, pick<Isa::isa>, take_others}, \
	{"tree_refusal_" #isa, tree_refusal_##isa, kBurst, 50, touch_full<Isa::isa>, refused}

const struct hot_path *hot_paths(void)
{
	static std::vector<hot_path> paths;
	if (!paths.empty())
		return paths.data();
	paths = {{"handover_by_32", handover_by_32, 32000, 5, make_domain, nullptr}};
	if (core::isa_supported(Isa::avx512))
		paths.insert(paths.end(), {IOVAD_TREE_PATHS(avx512)});
	if (core::isa_supported(Isa::avx2))
		paths.insert(paths.end(), {IOVAD_TREE_PATHS(avx2)});
	paths.insert(paths.end(), {IOVAD_TREE_PATHS(portable)});
	paths.push_back({});
	return paths.data();
}

}  // extern "C"
