// SPDX-License-Identifier: BSD-3-Clause
#include "soak/visitors.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>

#include <iovad/iovad.h>
#include "errors.h"
#include "text.h"

namespace iovad::perf {

Visitors::Visitors(const EalArguments &eal, Board &board, iovad_domain *domain, unsigned first, unsigned count,
		   unsigned kill_every_ms)
	: eal_(eal), board_(board), domain_(domain), first_(first), kill_every_ms_(kill_every_ms), pids_(count),
	  random_(board.seed), kill_at_(next_kill())
{
}

Visitors::~Visitors()
{
	for (const pid_t pid : pids_) {
		if (pid != 0) {
			kill(pid, SIGKILL);
			waitpid(pid, nullptr, 0);
		}
	}
}

// A secondary finds the primary by this file, and its memory in huge pages.
bool Visitors::possible()
{
	return rte_eal_has_hugepages() != 0 && access((std::string(rte_eal_get_runtime_dir()) + "/config").c_str(), R_OK) == 0;
}

Visitors::clock::time_point Visitors::next_kill()
{
	return clock::now() + std::chrono::microseconds(kill_every_ms_ == 0 ? 0 : random_() % (2000 * uint64_t(kill_every_ms_)));
}

void Visitors::reap()
{
	for (unsigned i = 0; i < pids_.size(); i++) {
		int status;
		if (pids_[i] != 0 && waitpid(pids_[i], &status, WNOHANG) == pids_[i])
			gone(i, status);
	}
}

void Visitors::tend()
{
	reap();
	for (unsigned i = 0; i < pids_.size(); i++) {
		if (pids_[i] == 0)
			come(i);
	}
	if (!pids_.empty() && kill_every_ms_ != 0 && clock::now() >= kill_at_) {
		kill_one();
		kill_at_ = next_kill();
	}
}

void Visitors::come(unsigned i)
{
	board_.seat[first_ + i].phase.store(Seat::absent, std::memory_order_relaxed);
	std::vector<std::string> words;
	for (const char *argument : eal_)
		words.emplace_back(argument);
	for (const char *word : {"--proc-type=secondary", "--log-level=lib.eal:error", "--no-telemetry", "--", "soak-visitor"})
		words.emplace_back(word);
	words.push_back(std::to_string(first_ + i));
	words.push_back(std::to_string(random_() % UINT32_MAX));
	std::vector<char *> argv;
	for (std::string &word : words)
		argv.push_back(word.data());
	argv.push_back(nullptr);
	// Not of the terminal's group, whose Ctrl-C is for this process.
	posix_spawnattr_t attributes;
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	const int error = posix_spawn(&pids_[i], "/proc/self/exe", nullptr, &attributes, argv.data(), environ);
	posix_spawnattr_destroy(&attributes);
	if (error != 0) {
		pids_[i] = 0;
		throw UsageError(format("cannot start a secondary process: %s", strerror(error)));
	}
	visits_++;
}

// Only one that has come: during EAL's start it may hold a lock of EAL's.
void Visitors::kill_one()
{
	const auto i = static_cast<unsigned>(random_() % pids_.size());
	if (pids_[i] == 0 || board_.seat[first_ + i].phase.load(std::memory_order_acquire) != Seat::working)
		return;
	kill(pids_[i], SIGKILL);
	kills_++;
	int status;
	waitpid(pids_[i], &status, 0);
	gone(i, status);
}

void Visitors::gone(unsigned i, int status)
{
	pids_[i] = 0;
	Seat &seat = board_.seat[first_ + i];
	const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		fprintf(stderr, "iovad-perf: a visitor ended with status 0x%x\n", static_cast<unsigned>(status));
		counts_.failed++;
	}
	inherit(first_ + i);
	counts_.add(seat.counts);
	seat.counts = {};
	seat.steps.store(0, std::memory_order_relaxed);
	seat.phase.store(Seat::absent, std::memory_order_relaxed);
}

void Visitors::inherit(unsigned seat)
{
	for (Holding &h : board_.seat[seat].holding)
		inherit(h, seat);
}

// What was arriving, and has an address, had come.
void Visitors::inherit(Holding &h, unsigned seat)
{
	const Holding::State state = h.state.load(std::memory_order_acquire);
	h.state.store(Holding::empty, std::memory_order_relaxed);
	if (state == Holding::empty || h.iova == 0)
		return;
	board_.marks.release(h.iova, h.len, seat);
	if (state == Holding::leaving)
		return;
	const int status = give_back_to(domain_, h);
	inherited_++;
	if (status != 0) {
		fprintf(stderr, "iovad-perf: cannot free for a killed process: %s\n", strerror(-status));
		counts_.failed++;
		counts_.first_error = status;
	}
}

void Visitors::end()
{
	for (unsigned i = 0; i < pids_.size(); i++) {
		int status;
		if (pids_[i] != 0 && waitpid(pids_[i], &status, 0) == pids_[i])
			gone(i, status);
	}
}

}  // namespace iovad::perf
