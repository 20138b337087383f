// SPDX-License-Identifier: BSD-3-Clause
#include "measure/lcores.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "errors.h"
#include "measure/spin.h"
#include "measure/watchdog.h"
#include "text.h"

namespace iovad::perf {
namespace {

// Of no call coming to an end; far more than the pauses of a loaded machine.
constexpr std::chrono::seconds kPatience{20};

struct Launch {
	const std::vector<unsigned> &lcores;
	const LcoreWork &work;
	std::atomic<size_t> arrived = 0;
};

int enter(void *argument) noexcept
{
	auto *launch = static_cast<Launch *>(argument);
	for (size_t i = 0; i < launch->lcores.size(); i++) {
		if (launch->lcores[i] != rte_lcore_id())
			continue;
		// Relaxed: it only says when.
		launch->arrived.fetch_add(1, std::memory_order_relaxed);
		spin_until([&] {
			return launch->arrived.load(std::memory_order_relaxed) == launch->lcores.size();
		});
		launch->work.run(i);
	}
	return 0;
}

// On the watchdog's thread. No way back: an lcore that hangs cannot be recalled, and static objects
// that it uses must not be destroyed under it.
[[noreturn]] void give_up(const LcoreWork &work)
{
	fprintf(stderr, "iovad-perf: given up: no call came to an end for %lld s\n",
		static_cast<long long>(kPatience.count()));
	work.say_where();
	_exit(kExitWrong);
}

}  // namespace

void run_on_lcores(const std::vector<unsigned> &lcores, const LcoreWork &work)
{
	Launch launch{lcores, work};
	const Watchdog watchdog(kPatience, work.progress, [&] { give_up(work); });
	const int status = rte_eal_mp_remote_launch(enter, &launch, CALL_MAIN);
	if (status != 0)
		throw UsageError(format("cannot launch the lcores: %s", strerror(-status)));
	rte_eal_mp_wait_lcore();
}

}  // namespace iovad::perf
