// SPDX-License-Identifier: BSD-3-Clause
// What Visitors runs: "soak-visitor SEAT SEED", in a secondary process.
#include <csignal>
#include <cstdlib>
#include <thread>

#include <sys/prctl.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_memzone.h>

#include "command.h"
#include "soak/worker.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr uint64_t kSteps = 20'000;  // at most, unless it stays until it is killed

ExitCode run_visitor(const EalArguments &eal_arguments, int argc, char **argv)
{
	if (argc != 3)
		throw UsageError("soak-visitor is what soak runs");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	const Eal eal(eal_arguments);
	const rte_memzone *const zone = rte_memzone_lookup(Board::kZone);
	if (zone == nullptr)
		throw UsageError("no soak is running");
	auto &board = *static_cast<Board *>(zone->addr);
	const auto number = static_cast<unsigned>(atoi(argv[1]));
	const auto seed = static_cast<unsigned>(atol(argv[2]));
	iovad_domain *const domain = iovad_domain_lookup(board.domain);
	if (domain == nullptr)
		throw UsageError(format("cannot attach to the domain: %s", rte_strerror(rte_errno)));
	Worker worker(domain, board, number, seed);
	Seat &seat = board.seat[number];
	seat.phase.store(Seat::working, std::memory_order_release);
	worker.run(seed % 4 == 0 ? 1 + seed % kSteps : 0);
	worker.give_back();
	const bool detached = iovad_domain_destroy(domain) == 0;
	seat.phase.store(Seat::done, std::memory_order_release);
	return detached ? kExitOk : kExitWrong;
}

}  // namespace

const Command kVisitorCommand = {"soak-visitor", nullptr, true, run_visitor};

}  // namespace iovad::perf
