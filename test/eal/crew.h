// SPDX-License-Identifier: BSD-3-Clause
// All kinds of threads that may call the library, at work at the same time: EAL's lcores,
// threads that registered with EAL, and threads that EAL knows nothing of.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "eal_setup.h"

namespace iovad::test {

class Crew {
public:
	static constexpr unsigned kWorkers = TEST_EAL_LCORES - 1, kPlain = 2, kRegistered = 1;
	static constexpr unsigned kActors = kWorkers + kPlain + kRegistered;

	// body(0 .. kActors - 1), each in a thread of its own, and all begin at once.
	// prepare() of each is called before.
	static void run(const std::function<void(unsigned)> &body, const std::function<void(unsigned)> &prepare = {})
	{
		for (unsigned actor = 0; prepare && actor < kActors; ++actor)
			prepare(actor);
		Start start{body, {}, {}, {}};
		unsigned lcore;
		RTE_LCORE_FOREACH_WORKER(lcore)
			rte_eal_remote_launch(launch, &start, lcore);
		std::vector<std::thread> threads;
		for (unsigned i = 0; i < kPlain; ++i)
			threads.emplace_back([&] { start.go(); });
		for (unsigned i = 0; i < kRegistered; ++i) {
			threads.emplace_back([&] {
				const bool registered = rte_thread_register() == 0;
				start.go();
				if (registered)
					rte_thread_unregister();
			});
		}
		for (std::thread &t : threads)
			t.join();
		rte_eal_mp_wait_lcore();
		// Said again where ThreadSanitizer sees it: all that they did came before this.
		while (start.finished < kActors)
			std::this_thread::yield();
	}

private:
	struct Start {
		const std::function<void(unsigned)> &body;
		std::atomic<unsigned> numbers, arrived, finished;

		void go()
		{
			const unsigned actor = numbers++;
			for (++arrived; arrived < kActors;)
				std::this_thread::yield();
			body(actor);
			++finished;
		}
	};
	static int launch(void *start)
	{
		static_cast<Start *>(start)->go();
		return 0;
	}
};

}  // namespace iovad::test
