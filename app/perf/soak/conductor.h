// SPDX-License-Identifier: BSD-3-Clause
// Runs the workers of a soak, makes them stand still, and then compares what the domain says with what they own.
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "measure/domain.h"
#include "soak/mapping_worker.h"
#include "soak/soak_report.h"
#include "soak/visitors.h"

namespace iovad::perf {

class Conductor {
public:
	// lcores: beside the main one, which is the caller's. `ended` becomes true where it is to end early.
	Conductor(const EalArguments &eal, const SoakOptions &options, const std::vector<unsigned> &lcores, unsigned visitors,
		  const std::atomic<bool> &ended);
	~Conductor();
	Conductor(const Conductor &) = delete;
	Conductor &operator=(const Conductor &) = delete;

	void run(SoakReport &report);

private:
	struct Part;
	struct Sums;
	struct Wrong;
	using clock = std::chrono::steady_clock;

	void start();
	void tend_until(clock::time_point at);
	bool over() const;
	void halt();
	void go_on();
	void check();
	Sums owned() const;
	void count_overlaps(std::vector<const Holding *> &owned);
	std::pair<uint64_t, uint64_t> expected(const iovad_domain_stats &stats, const Sums &sums) const;
	std::vector<Wrong> compare(const iovad_domain_stats &stats, const Sums &sums) const;
	void wrong(const char *what, uint64_t is, uint64_t should_be);
	void finish();
	bool settle_quarantine();
	SoakState state() const;
	double seconds() const { return std::chrono::duration<double>(clock::now() - begin_).count(); }
	uint64_t progress() const;
	[[noreturn]] void give_up() const;

	const SoakOptions &options_;
	const std::vector<unsigned> lcores_;
	const std::atomic<bool> &ended_;
	Board &board_;
	Domain domain_;
	std::vector<iovad_bounce_pool *> pools_;
	ControlThread control_;
	Visitors visitors_;
	std::vector<std::unique_ptr<MappingWorker>> workers_;
	std::vector<Part> parts_;
	std::vector<std::jthread> threads_;
	const clock::time_point begin_ = clock::now();
	iovad_domain_stats before_ = {};  // when nobody had worked
	iovad_domain_stats seen_ = {};    // at the last check
	uint64_t lost_ = 0, lost_reserved_ = 0, kills_ = 0;  // at the last check
	std::atomic<uint64_t> turns_ = 0;                    // of the conductor, for the watchdog
	SoakReport *report_ = nullptr;
};

}  // namespace iovad::perf
