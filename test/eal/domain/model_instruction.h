// SPDX-License-Identifier: BSD-3-Clause
// One step of the model test: a typed instruction that means the same whenever it is run,
// as a line of text too, so that a list that failed can be run again.
#pragma once

#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

namespace iovad::test {

enum class Op { alloc, free, alloc_bulk, free_bulk, alloc_range, free_range, reserve, unreserve, find, free_wrongly };
inline constexpr unsigned kOps = 10;

// In granules, but for the limit. What is freed is the pick-th of what is held.
struct Instruction {
	Op op;
	unsigned lcore;     // on which it is called
	uint64_t granules;
	uint64_t align;
	uint64_t limit;     // bytes
	unsigned count;     // of a bulk
	uint64_t pick;
};

// A domain to run them in.
struct ModelSpace {
	const char *name;
	uint64_t granule, first, last;  // bytes
	uint32_t flags, cache_percent;
	uint64_t max_ranges;
	uint64_t largest;               // request, in granules
	unsigned largest_bulk;
	unsigned steps, verify_every;
	bool few_nodes;                 // -EAGAIN may come
	bool exact() const { return flags != 0; }
	// What was given back while a node was missing is handed out later.
	bool highest() const { return exact() && !few_nodes; }
	friend std::ostream &operator<<(std::ostream &out, const ModelSpace &s) { return out << s.name; }
};

using Program = std::vector<Instruction>;

Program random_program(const ModelSpace &space, std::mt19937_64 &random);

// The name of the space, then one instruction per line.
void print_program(std::ostream &out, const ModelSpace &space, const Program &program);
// False: not such a text.
bool read_program(std::istream &in, std::string &space, Program &program);

}  // namespace iovad::test
