// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include <atomic>

namespace iovad::bench {

// Work for other lcores, a second one unless said otherwise, from construction to destruction.
template <class Body>
class Neighbour {
public:
	explicit Neighbour(Body body, unsigned lcores = 1) : body_(body)
	{
		for (unsigned i = 0, lcore = -1; i < lcores; ++i) {
			lcore = rte_get_next_lcore(lcore, 1, 0);
			rte_eal_remote_launch(&run, this, lcore);
		}
		while (running_.load(std::memory_order_relaxed) < lcores)
			rte_pause();
	}
	~Neighbour()
	{
		stop_.store(true, std::memory_order_relaxed); // only says when; joined below
		rte_eal_mp_wait_lcore();
	}
	Neighbour(const Neighbour &) = delete;
	Neighbour &operator=(const Neighbour &) = delete;

private:
	static int run(void *self)
	{
		auto *n = static_cast<Neighbour *>(self);
		n->running_.fetch_add(1, std::memory_order_relaxed);
		while (!n->stop_.load(std::memory_order_relaxed))
			n->body_();
		return 0;
	}

	Body body_;
	std::atomic<unsigned> running_{0};
	std::atomic<bool> stop_{false};
};

}  // namespace iovad::bench
