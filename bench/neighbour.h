// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_pause.h>

#include <atomic>

namespace iovad::bench {

// Work for a second lcore, from construction to destruction.
template <class Body>
class Neighbour {
public:
	explicit Neighbour(Body body) : body_(body)
	{
		rte_eal_remote_launch(&run, this, rte_get_next_lcore(-1, 1, 0));
		while (!running_.load(std::memory_order_relaxed))
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
		n->running_.store(true, std::memory_order_relaxed);
		while (!n->stop_.load(std::memory_order_relaxed))
			n->body_();
		return 0;
	}

	Body body_;
	std::atomic<bool> running_{false}, stop_{false};
};

}  // namespace iovad::bench
