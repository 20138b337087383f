// SPDX-License-Identifier: BSD-3-Clause
// Secondary processes that come, work in the domain and leave, or are killed: run from the same program. What a
// killed one owned is freed for it.
#pragma once

#include <chrono>
#include <random>
#include <vector>

#include <sys/types.h>

#include <iovad/iovad.h>

#include "eal.h"
#include "soak/board.h"

namespace iovad::perf {

class Visitors {
public:
	// So many at once, in the seats from `first` on. Needs EAL.
	Visitors(const EalArguments &eal, Board &board, iovad_domain *domain, unsigned first, unsigned count,
		 unsigned kill_every_ms);
	~Visitors();
	Visitors(const Visitors &) = delete;
	Visitors &operator=(const Visitors &) = delete;

	// EAL's memory can be seen by others.
	static bool possible();

	// Every millisecond or so, while nobody stands.
	void tend();
	// Those that have ended by themselves.
	void reap();
	// They leave in order, and none comes.
	void end();

	uint64_t visits() const { return visits_; }
	uint64_t kills() const { return kills_; }
	uint64_t inherited() const { return inherited_; }
	// Calls for the dead, and visits, that failed; the work of those that have gone.
	const SoakCounts &counts() const { return counts_; }

private:
	using clock = std::chrono::steady_clock;

	void come(unsigned i);
	void gone(unsigned i, int status);
	void kill_one();
	void inherit(unsigned seat);
	void inherit(Holding &h, unsigned seat);
	clock::time_point next_kill();

	const EalArguments &eal_;
	Board &board_;
	iovad_domain *const domain_;
	const unsigned first_, kill_every_ms_;
	std::vector<pid_t> pids_;  // 0: none
	std::mt19937_64 random_;
	clock::time_point kill_at_;
	uint64_t visits_ = 0, kills_ = 0, inherited_ = 0;
	SoakCounts counts_;
};

}  // namespace iovad::perf
