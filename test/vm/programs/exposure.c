/* SPDX-License-Identifier: BSD-3-Clause
 * How long a NIC that goes on using unmapped memory can reach it: not at all once a strict
 * iovad_unmap() has returned; with lazy unmapping for as long as conf.lazy_max_age_us.
 *
 *   exposure [EAL arguments] -- strict|lazy send|receive
 *
 * Port 1 sends all the time, each frame with the time at which it was sent. "receive": port 0
 * receives into the area; "send": every other frame lies in the area. In each round the area
 * is mapped, unmapped while the frames go on, and left alone until the kernel has reported
 * an access that was refused there. Then nothing can get through any more, and the latest
 * time in a frame that did is how long, at least, the area was in reach: in the memory, or
 * in what port 0 received. Between two frames lie SPACING_US; what is measured is too short
 * by that, and by the way of a frame. So after a strict unmap the memory is poisoned, and no
 * byte of it may change.
 *
 * A control thread that gets no CPU is late, and an emulated machine has none of its own. The
 * thread knows how late it was (deferred_peak_us): the NIC must never exceed that, or
 * lazy_max_age_us where that is more, and in most rounds not lazy_max_age_us itself.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>

#include <iovad/iovad_control.h>
#include <iovad/iovad_ethdev.h>

#include "nics.h"

#define ROUNDS 10
#define AGE_US 100000 /* many of the time slices that others take */
#define SPACING_US 500
#define WARM_UP 30
#define MOST_US 30000000 /* for one round. The kernel reports ten refusals in 5 s */
#define LIMIT UINT32_MAX
#define AREA_LEN (1u << 20)
#define ELEMENT 2304 /* headroom and a frame */
#define ELEMENTS 400
#define SLOT 2048 /* of a frame to be sent */
#define POISON 0xa5

/* On the wire. */
struct frame {
	struct rte_ether_hdr ether;
	bool from_area;
	uint64_t sent_us;
	unsigned char fill[32];
};

/* In us since the unmap returned. */
struct round {
	uint64_t exposed; /* 0: not at all */
	uint64_t refused; /* as the kernel reported */
	uint64_t handed;  /* the address, to somebody else; 0: not seen */
};

static bool lazy, receives;
static struct iovad_domain *domain;
static struct rte_mempool *good, *headers, *into_area;
static unsigned char *area;
static rte_iova_t area_iova;
static struct round rounds[ROUNDS];

static atomic_bool stop;
static atomic_uint arrived; /* frames that lie in the pool, while the worker runs */
static uint64_t latest_from_area; /* the worker's, while it runs */

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void make_memory(void)
{
	struct rte_pktmbuf_extmem memory = {.buf_len = AREA_LEN, .elt_size = ELEMENT};
	struct iovad_domain_conf conf;

	iovad_domain_conf_init(&conf);
	conf.name = "exposure";
	conf.backend = IOVAD_BACKEND_VFIO;
	conf.unmap_policy = lazy ? IOVAD_UNMAP_LAZY : IOVAD_UNMAP_STRICT;
	conf.lazy_max_age_us = AGE_US;
	domain = iovad_domain_create(&conf);
	if (!domain)
		die("create the domain", rte_errno);
	area = memory.buf_ptr = get_memory(AREA_LEN);
	good = iovad_pktmbuf_pool_create("good", 2048, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, domain, LIMIT);
	headers = rte_pktmbuf_pool_create("headers", HEADERS, 0, 0, RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	into_area = rte_pktmbuf_pool_create_extbuf("area", ELEMENTS, 0, 0, ELEMENT, SOCKET_ID_ANY, &memory, 1);
	if (!good || !headers || !into_area)
		die("create the pools", rte_errno);
}

static void free_memory(void)
{
	rte_mempool_free(good);
	rte_mempool_free(headers);
	rte_mempool_free(into_area);
	destroy_domain(domain);
}

static void send_frame(struct rte_mbuf *m, bool from_area)
{
	struct frame *f = (struct frame *)rte_pktmbuf_append(m, sizeof *f);

	*f = (struct frame){.from_area = from_area, .sent_us = now_us()};
	fill_ether(&f->ether);
	send_all(1, &m, 1);
}

/* What is sent from the area comes first: it has arrived, or will not, when the other has. */
static void send_some(uint32_t n)
{
	const size_t at = n * (size_t)SLOT % AREA_LEN;
	struct rte_mbuf *m = rte_pktmbuf_alloc(good);

	if (!m)
		rte_panic("the pool \"good\" is empty\n");
	if (!receives)
		send_frame(attach(headers, area + at, area_iova + at, SLOT), true);
	send_frame(m, false);
}

/* Whether it was one of the pool's. Nothing can be said of what lies in the area. */
static bool look_at(const struct rte_mbuf *m)
{
	const struct frame *f = rte_pktmbuf_mtod(m, const struct frame *);

	if (receives)
		return true;
	if (!is_ours(&f->ether))
		return false;
	if (f->from_area)
		latest_from_area = RTE_MAX(latest_from_area, f->sent_us);
	return !f->from_area;
}

static void receive(void)
{
	struct rte_mbuf *m[32];
	const uint16_t n = rte_eth_rx_burst(0, 0, m, RTE_DIM(m));

	for (uint16_t i = 0; i < n; i++)
		atomic_fetch_add(&arrived, look_at(m[i]));
	rte_pktmbuf_free_bulk(m, n);
}

/* Until told to stop, and all has arrived. */
static int traffic(void *unused)
{
	uint64_t now = now_us(), next = now;
	const uint64_t end = now + 2 * MOST_US;
	uint32_t sent = 0;

	(void)unused;
	while (!atomic_load(&stop) || sent != atomic_load(&arrived)) {
		receive();
		now = now_us();
		if (now > end) {
			wrong("of %u frames %u arrived", sent, atomic_load(&arrived));
			break;
		}
		if (now >= next && !atomic_load(&stop)) {
			send_some(sent++);
			next = now + SPACING_US;
		}
	}
	return 0;
}

static void place(struct rte_mempool *pool, void *unused, void *object, unsigned int index)
{
	struct rte_mbuf *m = object;

	(void)pool;
	(void)unused;
	(void)index;
	rte_mbuf_iova_set(m, area_iova + (uint64_t)((unsigned char *)m->buf_addr - area));
}

static void map_area(void)
{
	const int error = iovad_map(domain, area, AREA_LEN, LIMIT, receives ? IOVAD_FROM_DEVICE : IOVAD_TO_DEVICE,
				    &area_iova);

	if (error)
		die("map the area", -error);
	if (!receives)
		return;
	memset(area, 0, AREA_LEN);
	rte_mempool_obj_iter(into_area, place, NULL);
	start_port(0, into_area);
}

static uint64_t latest_in_area(void)
{
	uint64_t latest = 0;

	for (size_t i = 0; i < ELEMENTS; i++) {
		const struct frame *f = (const struct frame *)(area + i * ELEMENT + RTE_PKTMBUF_HEADROOM);

		if (is_ours(&f->ether))
			latest = RTE_MAX(latest, f->sent_us);
	}
	return latest;
}

static bool poison_is_whole(void)
{
	return area[0] == POISON && memcmp(area, area + 1, AREA_LEN - 1) == 0;
}

/* Whether an address of the area would be handed out now. */
static bool is_free(void)
{
	rte_iova_t iova;
	bool overlaps;

	if (iovad_alloc_range(domain, AREA_LEN, 4096, LIMIT, &iova))
		return false;
	overlaps = iova < area_iova + AREA_LEN && area_iova < iova + AREA_LEN;
	if (iovad_free_range(domain, iova, AREA_LEN))
		wrong("what was allocated cannot be freed");
	return overlaps;
}

static bool wait_for_warm_up(void)
{
	const uint64_t end = now_us() + MOST_US;

	while (atomic_load(&arrived) < WARM_UP) {
		if (now_us() > end) {
			wrong("%u frames arrived", atomic_load(&arrived));
			return false;
		}
		rte_delay_us_sleep(100);
	}
	return true;
}

static void wait_for_refusal(struct faults *f, struct round *r, uint64_t returned)
{
	const unsigned int before = f->inside;

	while (f->inside == before) {
		const uint64_t passed = now_us() - returned;

		if (passed > MOST_US) {
			wrong("the kernel reported no access");
			return;
		}
		if (r->handed == 0 && is_free())
			r->handed = RTE_MAX(now_us() - returned, 1u);
		read_faults(f, area_iova, AREA_LEN);
		r->refused = now_us() - returned;
		rte_delay_us_sleep(100);
	}
}

static void unmap_meanwhile(struct faults *f, struct round *r)
{
	uint64_t returned, latest;
	int error;

	read_faults(f, 0, 0);
	error = iovad_unmap(domain, area_iova, AREA_LEN);
	returned = now_us();
	if (error)
		wrong("the area stays: %s", rte_strerror(-error));
	if (receives && latest_in_area() == 0)
		wrong("nothing arrived in the area before");
	if (receives && !lazy)
		memset(area, POISON, AREA_LEN);
	wait_for_refusal(f, r, returned);
	atomic_store(&stop, true);
	rte_eal_mp_wait_lcore();
	read_faults(f, area_iova, AREA_LEN);
	latest = receives ? latest_in_area() : latest_from_area;
	r->exposed = latest > returned ? latest - returned : 0;
	if (receives && !lazy && !poison_is_whole())
		wrong("what arrived after the unmap changed the memory");
	if (!receives && latest == 0)
		wrong("nothing from the area arrived before");
}

static void one_round(struct faults *f, struct round *r)
{
	map_area();
	atomic_store(&stop, false);
	atomic_store(&arrived, 0);
	latest_from_area = 0;
	rte_eal_remote_launch(traffic, NULL, rte_get_next_lcore(-1, 1, 0));
	if (wait_for_warm_up())
		unmap_meanwhile(f, r);
	atomic_store(&stop, true);
	rte_eal_mp_wait_lcore();
	if (receives)
		rte_eth_dev_stop(0);
	printf("round %td: exposed %" PRIu64 " us, refused after %" PRIu64 " us, free after %" PRIu64 " us\n", r - rounds,
	       r->exposed, r->refused, r->handed);
	if (lazy && r->handed != 0 && r->handed < r->exposed)
		wrong("the address could be handed out before the NIC was kept off");
}

static int compare(const void *a, const void *b)
{
	const struct round *x = a, *y = b;

	return (x->exposed > y->exposed) - (x->exposed < y->exposed);
}

static void judge(void)
{
	struct iovad_domain_stats stats;
	uint64_t median, most;
	unsigned int seen_free = 0;

	iovad_domain_stats_get(domain, &stats);
	qsort(rounds, ROUNDS, sizeof rounds[0], compare);
	median = rounds[ROUNDS / 2].exposed;
	most = rounds[ROUNDS - 1].exposed;
	for (unsigned int i = 0; i < ROUNDS; i++)
		seen_free += rounds[i].handed != 0;
	printf("%s %s: exposure over %d rounds: median %" PRIu64 " us, max %" PRIu64 " us; bound %u us; the control thread's "
	       "own maximum %" PRIu64 " us; the address was seen free in %u rounds\n", lazy ? "lazy" : "strict",
	       receives ? "receive" : "send", ROUNDS, median, most, lazy ? AGE_US : 0, stats.deferred_peak_us, seen_free);
	if (seen_free == 0)
		wrong("the address never became free");
	if (stats.helps || stats.bad_unmaps)
		wrong("helps %" PRIu64 ", bad unmaps %" PRIu64, stats.helps, stats.bad_unmaps);
	if (!lazy && most != 0)
		wrong("the NIC reached what was unmapped strictly");
	if (lazy && median == 0)
		wrong("the NIC was kept off at once: nothing was measured");
	if (lazy && (median > AGE_US || most > RTE_MAX(stats.deferred_peak_us, (uint64_t)AGE_US)))
		wrong("the NIC reached what was unmapped for longer than it may");
}

static bool parse(int argc, char **argv)
{
	if (argc != 3)
		return false;
	lazy = strcmp(argv[1], "lazy") == 0;
	receives = strcmp(argv[2], "receive") == 0;
	return (lazy || strcmp(argv[1], "strict") == 0) && (receives || strcmp(argv[2], "send") == 0);
}

int main(int argc, char **argv)
{
	struct faults faults;
	const int eal = rte_eal_init(argc, argv);

	if (eal < 0 || !parse(argc - eal, argv + eal) || rte_eth_dev_count_avail() != 2 || rte_lcore_count() != 2) {
		fprintf(stderr, "exposure -l A,B -a NIC -a NIC -- strict|lazy send|receive\n");
		return 2;
	}
	open_faults(&faults);
	setvbuf(stdout, NULL, _IOLBF, 0);

	make_memory();
	if (lazy && iovad_control_thread_start())
		wrong("no control thread");
	start_port(1, good);
	if (!receives)
		start_port(0, good);
	for (unsigned int i = 0; i < ROUNDS && !atomic_load(&failed); i++)
		one_round(&faults, &rounds[i]);
	close_ports();
	if (!atomic_load(&failed))
		judge();
	if (lazy && iovad_control_thread_stop())
		wrong("the control thread does not stop");
	free_memory();
	rte_eal_cleanup();
	puts(atomic_load(&failed) ? "failed" : "as it should be");
	return atomic_load(&failed) ? 1 : 0;
}
