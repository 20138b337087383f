// SPDX-License-Identifier: BSD-3-Clause
// One that works: an lcore, a thread or a visiting process. It takes and gives back addresses of all lengths and
// kinds, under all limits, and stands still when it is told to.
#pragma once

#include <random>

#include <iovad/iovad.h>

#include "soak/board.h"

namespace iovad::perf {

class Worker {
public:
	Worker(iovad_domain *domain, Board &board, unsigned seat, uint64_t seed);
	virtual ~Worker() = default;
	Worker(const Worker &) = delete;
	Worker &operator=(const Worker &) = delete;

	// Until it is told to stop, or for so many steps unless that is 0.
	void run(uint64_t steps) noexcept;
	// All it owns.
	virtual void give_back() noexcept;

protected:
	enum class Outcome { done, refused, failed };

	virtual void step();
	// Counts what a call returned, which may be a lack of space or nodes, or an injected fault, or neither.
	enum May : unsigned { not_fail = 0, lack = 1, meet_fault = 2 };
	Outcome judge(const char *what, int status, unsigned may);
	void wrong(uint64_t &counter, const char *what, uint64_t iova, uint64_t len);
	void doing(const char *what) { seat_.doing.store(what, std::memory_order_relaxed); }

	Holding *free_holding();
	Holding *random_holding();
	// Write down that it is about to come, that it is there, that it is about to go, that it is gone.
	static void expect(Holding &h, Holding::Kind kind, uint64_t len);
	void own(Holding &h, uint64_t iova, uint64_t limit);
	void part(Holding &h);
	static void forget(Holding &h) { h.state.store(Holding::empty, std::memory_order_release); }
	virtual void release(Holding &h);

	uint64_t below(uint64_t n) { return random_() % n; }
	bool one_in(uint64_t n) { return below(n) == 0; }
	uint64_t random_granules();
	uint64_t random_limit(uint64_t granules);

	iovad_domain *const domain_;
	Board &board_;
	const unsigned number_;
	Seat &seat_;
	std::mt19937_64 random_;

private:
	void stand_if_told();
	void take_one();
	void take_many();
	void give_many();
	void take_exact();
	void reserve();
};

}  // namespace iovad::perf
