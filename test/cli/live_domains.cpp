// SPDX-License-Identifier: BSD-3-Clause
// live_domains [EAL ARGUMENTS]: a process to look at. On domain "nic0" its worker lcores take and
// give back, on "soft.1" the main one maps and unmaps lazily, and copies through the pool "tx", beside a
// control thread, until standard input ends. Says "ready".
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>

#include "iovad/iovad_bounce.h"
#include "iovad/iovad_control.h"
#include "iovad/iovad_dma.h"

namespace {

constexpr uint64_t kPage = 4096;
std::atomic<bool> done;
iovad_domain *nic0, *soft;

iovad_domain *create(const char *name, iovad_backend backend, uint64_t last)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = name;
	conf.backend = backend;
	conf.iova_first = kPage;
	conf.iova_last = last;
	conf.unmap_policy = backend == IOVAD_BACKEND_NONE ? IOVAD_UNMAP_STRICT : IOVAD_UNMAP_LAZY;
	iovad_domain *d = iovad_domain_create(&conf);
	if (!d) {
		std::fprintf(stderr, "no domain %s: %s\n", name, rte_strerror(rte_errno));
		std::exit(1);
	}
	return d;
}

iovad_bounce_pool *create_pool(const char *name)
{
	iovad_bounce_conf conf;
	iovad_bounce_conf_init(&conf);
	conf.name = name;
	conf.domain = soft;
	iovad_bounce_pool *p = iovad_bounce_pool_create(&conf);
	if (!p)
		std::exit(1);
	return p;
}

// Up to 3000 addresses of one and two pages at a time.
int churn(void *)
{
	struct Held {
		rte_iova_t iova;
		uint64_t len;
	};
	std::vector<Held> held;
	unsigned seed = rte_lcore_id() + 1;
	while (!done) {
		const unsigned dice = static_cast<unsigned>(rand_r(&seed));
		if (dice % 3000 >= held.size()) {
			Held h = {0, kPage << (dice >> 8 & 1)};
			if (iovad_alloc(nic0, h.len, UINT64_MAX, &h.iova) == 0)
				held.push_back(h);
		} else {
			std::swap(held[dice % held.size()], held.back());
			iovad_free(nic0, held.back().iova, held.back().len);
			held.pop_back();
		}
		if (dice >> 16 == 0)  // the machine has other work
			usleep(1);
	}
	for (const Held &h : held)
		iovad_free(nic0, h.iova, h.len);
	return 0;
}

bool input_ended()
{
	pollfd input = {STDIN_FILENO, POLLIN, 0};
	char c;
	return poll(&input, 1, 1) > 0 && read(STDIN_FILENO, &c, 1) <= 0;
}

}  // namespace

int main(int argc, char **argv)
{
	if (rte_eal_init(argc, argv) < 0)
		return 1;
	nic0 = create("nic0", IOVAD_BACKEND_NONE, (uint64_t{128} << 20) - 1);
	soft = create("soft.1", IOVAD_BACKEND_SOFT, UINT32_MAX);
	iovad_bounce_pool *const tx = create_pool("tx");
	iovad_reserve(nic0, 0x800000, 0x1000000);
	rte_eal_mp_remote_launch(churn, nullptr, SKIP_MAIN);
	iovad_control_thread_start();
	std::puts("ready");
	std::fflush(stdout);
	std::vector<char> memory(16 * kPage);
	do {
		rte_iova_t iova;
		if (iovad_map(soft, memory.data(), memory.size(), UINT64_MAX, IOVAD_BIDIRECTIONAL, &iova) == 0)
			iovad_unmap(soft, iova, memory.size());
		if (iovad_bounce_map(tx, memory.data(), 1500, 0, IOVAD_BIDIRECTIONAL, &iova) == 0)
			iovad_bounce_unmap(tx, iova, 1500, IOVAD_BIDIRECTIONAL, 0);
	} while (!input_ended());
	done = true;
	rte_eal_mp_wait_lcore();
	iovad_control_thread_stop();
	const bool clean = iovad_bounce_pool_destroy(tx) == 0 && iovad_unreserve(nic0, 0x800000, 0x1000000) == 0 &&
			   iovad_domain_destroy(soft) == 0 && iovad_domain_destroy(nic0) == 0;
	rte_eal_cleanup();
	return clean ? 0 : 1;
}
