// SPDX-License-Identifier: BSD-3-Clause
#include "model_instruction.h"

#include <algorithm>
#include <istream>
#include <iterator>
#include <ostream>

#include <rte_lcore.h>

namespace iovad::test {

namespace {

constexpr const char *kNames[kOps] = {"alloc", "free", "alloc_bulk", "free_bulk", "alloc_range", "free_range",
				      "reserve", "unreserve", "find", "free_wrongly"};

uint64_t below(std::mt19937_64 &random, uint64_t end) { return std::uniform_int_distribution<uint64_t>(0, end - 1)(random); }

uint64_t random_limit(const ModelSpace &s, std::mt19937_64 &random)
{
	constexpr uint64_t k32Bits = (uint64_t{1} << 32) - 1;
	switch (below(random, 9)) {
	case 0:
		return s.first + below(random, s.last - s.first);  // any byte
	case 8:
		return s.first + below(random, 64 * s.granule);
	case 1:
		return s.first + (s.last - s.first) / 4;
	case 2:
	case 3:
		return std::max(s.first, k32Bits);
	case 4:
		return s.last;
	default:
		return ~uint64_t{0};
	}
}

// Phases of filling, of emptying and of neither, so that every level is seen; and one of
// bulks of a single length, which go through the depot.
enum class Phase { filling, bulks, emptying, steady };
constexpr unsigned kPhases = 4;

std::discrete_distribution<unsigned> odds(Phase phase)
{
	switch (phase) {
	case Phase::filling:
		return {30, 12, 6, 1, 8, 3, 2, 1, 4, 1};
	case Phase::bulks:
		return {4, 4, 40, 48, 0, 0, 0, 0, 1, 1};
	case Phase::emptying:
		return {10, 28, 1, 8, 3, 9, 1, 2, 4, 1};
	case Phase::steady:
		break;
	}
	return {24, 24, 3, 3, 6, 6, 1, 1, 3, 1};
}

}  // namespace

Program random_program(const ModelSpace &s, std::mt19937_64 &random)
{
	constexpr unsigned kPhase = 250, kLcores = 4;
	Program out;
	unsigned lcore = 0;
	for (unsigned step = 0; step < s.steps; ++step) {
		const Phase phase = static_cast<Phase>(step / kPhase % kPhases);
		auto choice = odds(phase);
		if (below(random, 8) == 0)
			lcore = static_cast<unsigned>(below(random, kLcores));
		Instruction i;
		i.op = static_cast<Op>(choice(random));
		i.lcore = lcore == kLcores - 1 ? unsigned{LCORE_ID_ANY} : lcore;
		// Mostly short ones; every length has a chance.
		const uint64_t longest = phase == Phase::bulks ? 1 : uint64_t{1} << below(random, 12);
		i.granules = 1 + below(random, std::min(s.largest, longest));
		i.align = uint64_t{1} << below(random, 6);
		i.limit = random_limit(s, random);
		i.count = static_cast<unsigned>(1 + below(random, s.largest_bulk));
		i.pick = random();
		out.push_back(i);
	}
	return out;
}

void print_program(std::ostream &out, const ModelSpace &space, const Program &program)
{
	out << space.name << '\n';
	for (const Instruction &i : program)
		out << kNames[static_cast<unsigned>(i.op)] << ' ' << i.lcore << ' ' << i.granules << ' ' << i.align
		    << ' ' << i.limit << ' ' << i.count << ' ' << i.pick << '\n';
}

bool read_program(std::istream &in, std::string &space, Program &program)
{
	if (!std::getline(in, space))
		return false;
	for (std::string op; in >> op;) {
		const auto name = std::find(std::begin(kNames), std::end(kNames), op);
		if (name == std::end(kNames))
			return false;
		Instruction i;
		i.op = static_cast<Op>(name - kNames);
		if (!(in >> i.lcore >> i.granules >> i.align >> i.limit >> i.count >> i.pick))
			return false;
		program.push_back(i);
	}
	return true;
}

}  // namespace iovad::test
