// SPDX-License-Identifier: BSD-3-Clause
// A thread of a scenario, for the machine's own sources.
#pragma once

#include <ucontext.h>

#include "machine.h"

namespace iovad::model {

constexpr size_t kStack = size_t{256} << 10;

struct Machine::Thread {
	enum class State { ready, reading, yielded, locking, ended };

	ucontext_t context;
	std::byte *stack;
	State state;
	unsigned word, store;       // the last load, of nothing in between
	uint64_t from;
	std::vector<uint64_t> frames;  // where in the code: of each call, it and those around it
	uint64_t yielded_at;
	const void *mutex;
	bool impatient;             // all waited: it goes on as it is
	void *late_address;         // a store that is held back, see Defect
	const void *late_until;
	unsigned late_bytes, late_word;
	uint64_t late_value;
	Order late_order;
};

}  // namespace iovad::model
