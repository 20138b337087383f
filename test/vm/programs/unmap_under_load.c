/* SPDX-License-Identifier: BSD-3-Clause
 * Positive control: what is unmapped is out of a NIC's reach, even where its descriptors
 * still point there, and only that is. Two NICs that hear each other, and
 *
 *   the pool "good"       both send from it, port 1 receives into it; it stays
 *   the region "send"     port 1 sends from it as well
 *   the region "receive"  port 0 receives into it
 *
 *   unmap_under_load [EAL arguments] -- keep|send|receive
 *
 * While an lcore sends round after round, the main one removes the named region. The NIC
 * goes on being told to use it: then nothing sent from there may arrive, or nothing that
 * arrives may change the memory; the kernel must report it with an address in the region,
 * and must report no other; and all that goes through the pool must arrive. With "keep" the
 * region stays, and all of it is the other way round.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>

#include <iovad/iovad_ethdev.h>

#include "nics.h"

#define BURST 16
#define ROUNDS_BEFORE 200
#define ROUNDS_AFTER 500
#define MOST_SECONDS 60 /* for traffic, and for the kernel to report what it refused */
#define LIMIT UINT32_MAX
#define REGION_LEN (2u << 20)
#define ELEMENT 2304 /* of "receive": headroom and a frame */
#define ELEMENTS 512
#define POISON 0xa5

enum mode { KEEP, SEND, RECEIVE };
static const char *const mode_name[] = {"keep", "send", "receive"};

struct region {
	unsigned char *va;
	rte_iova_t iova;
	bool mapped;
};

/* On the wire. */
struct frame {
	struct rte_ether_hdr ether;
	uint32_t from_region;
	uint32_t round;
	uint32_t after; /* the removal, which had returned when this was written */
	unsigned char fill[38];
};

static enum mode mode;
static struct iovad_domain *domain;
static struct rte_mempool *good, *headers, *into_region;
static struct region send_region, receive_region;

/* The worker's, until it has ended. */
static uint64_t good_sent, good_arrived, region_sent, region_arrived, after_sent, after_arrived;

/* Release when stored, acquire when loaded: who sees it sees that the call returned. */
static atomic_bool removed, stop;
static atomic_uint rounds;

static void add_region(struct region *r, uint32_t dir, const char *name)
{
	int error;

	r->va = get_memory(REGION_LEN);
	error = iovad_region_add(domain, r->va, REGION_LEN, LIMIT, dir, &r->iova);
	if (error)
		die("add a region", -error);
	r->mapped = true;
	printf("region %s: 0x%" PRIx64 " - 0x%" PRIx64 "\n", name, r->iova, r->iova + REGION_LEN - 1);
}

static void remove_region(struct region *r)
{
	const int error = iovad_region_remove(domain, r->va, REGION_LEN);

	if (error)
		wrong("the region stays: %s", rte_strerror(-error));
	r->mapped = false;
}

static void make_memory(void)
{
	struct rte_pktmbuf_extmem memory = {.buf_len = REGION_LEN, .elt_size = ELEMENT};
	struct iovad_domain_conf conf;

	iovad_domain_conf_init(&conf);
	conf.name = "control";
	conf.backend = IOVAD_BACKEND_VFIO;
	domain = iovad_domain_create(&conf);
	if (!domain)
		die("create the domain", rte_errno);
	add_region(&send_region, IOVAD_TO_DEVICE, "send");
	add_region(&receive_region, IOVAD_FROM_DEVICE, "receive");
	good = iovad_pktmbuf_pool_create("good", 2048, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, domain, LIMIT);
	headers = rte_pktmbuf_pool_create("headers", HEADERS, 0, 0, RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	memory.buf_ptr = receive_region.va;
	memory.buf_iova = receive_region.iova;
	into_region = rte_pktmbuf_pool_create_extbuf("receive", ELEMENTS, 0, 0, ELEMENT, SOCKET_ID_ANY, &memory, 1);
	if (!good || !headers || !into_region)
		die("create the pools", rte_errno);
}

static void free_memory(void)
{
	rte_mempool_free(good);
	rte_mempool_free(headers);
	rte_mempool_free(into_region);
	if (send_region.mapped)
		remove_region(&send_region);
	if (receive_region.mapped)
		remove_region(&receive_region);
	destroy_domain(domain);
}

static void fill(struct frame *f, bool from_region, uint32_t round, bool after)
{
	*f = (struct frame){.from_region = from_region, .round = round, .after = after};
	fill_ether(&f->ether);
}

static void send_good(uint16_t port, uint32_t round)
{
	struct rte_mbuf *m[BURST];

	if (rte_pktmbuf_alloc_bulk(good, m, BURST))
		rte_panic("the pool \"good\" is empty\n");
	for (int i = 0; i < BURST; i++)
		fill((struct frame *)rte_pktmbuf_append(m[i], sizeof(struct frame)), false, round, false);
	send_all(port, m, BURST);
	good_sent += BURST;
}

/* In each round from another place; when it comes round again, what was there has been read. */
static void send_from_region(uint16_t port, uint32_t round, bool after)
{
	struct rte_mbuf *m[BURST];

	for (unsigned int i = 0; i < BURST; i++) {
		const size_t at = (round * BURST + i) * 2048u % REGION_LEN;

		m[i] = attach(headers, send_region.va + at, send_region.iova + at, 2048);
		fill((struct frame *)rte_pktmbuf_append(m[i], sizeof(struct frame)), true, round, after);
	}
	send_all(port, m, BURST);
	region_sent += BURST;
	after_sent += after ? BURST : 0;
}

/* Packets of the pool that arrived in this round. Port 0 cannot tell them any more once its
 * memory is out of reach: then it counts all. */
static unsigned int receive(uint16_t port, uint32_t round, bool blind)
{
	struct rte_mbuf *m[BURST];
	unsigned int found = 0;
	const uint16_t n = rte_eth_rx_burst(port, 0, m, BURST);

	for (uint16_t i = 0; i < n; i++) {
		const struct frame *f = rte_pktmbuf_mtod(m[i], const struct frame *);

		if (blind) {
			found++;
		} else if (is_ours(&f->ether)) {
			found += !f->from_region && f->round == round;
			region_arrived += f->from_region != 0;
			after_arrived += f->after != 0;
		}
	}
	rte_pktmbuf_free_bulk(m, n);
	return found;
}

/* Packets stay in order on the wire, so those of the region have arrived when those of the
 * pool that follow them have. */
static bool one_round(uint32_t round, bool after)
{
	const bool blind = mode == RECEIVE;
	const unsigned int expected = blind ? 2 * BURST : BURST;
	const uint64_t end = rte_get_timer_cycles() + 20 * rte_get_timer_hz();
	unsigned int at0 = 0, at1 = 0;

	send_good(0, round);
	send_from_region(1, round, after);
	send_good(1, round);
	while (at0 < expected || at1 < BURST) {
		at0 += receive(0, round, blind);
		at1 += receive(1, round, false);
		if (rte_get_timer_cycles() > end) {
			wrong("round %u: of the pool's packets %u of %u arrived at port 0, %u of %u at port 1", round, at0,
			      expected, at1, (unsigned int)BURST);
			return false;
		}
	}
	good_arrived += 2 * BURST;
	return true;
}

static int traffic(void *unused)
{
	bool poisoned = false;

	(void)unused;
	for (uint32_t round = 0; !atomic_load(&stop) && !atomic_load(&failed); round++) {
		const bool after = atomic_load(&removed);

		/* All that was sent has arrived, so nobody but a NIC could write here now. */
		if (after && !poisoned) {
			memset(receive_region.va, POISON, REGION_LEN);
			poisoned = true;
		}
		if (!one_round(round, after))
			break;
		atomic_fetch_add(&rounds, 1);
	}
	return 0;
}

static bool wait_for_rounds(unsigned int n, uint64_t end)
{
	while (atomic_load(&rounds) < n && !atomic_load(&failed)) {
		if (rte_get_timer_cycles() > end) {
			wrong("%u rounds in %d s are too few", atomic_load(&rounds), MOST_SECONDS);
			return false;
		}
		rte_delay_us_sleep(1000);
	}
	return !atomic_load(&failed);
}

static struct region *removed_region(void)
{
	return mode == SEND ? &send_region : mode == RECEIVE ? &receive_region : NULL;
}

static void read_faults_of(struct faults *f, const struct region *r)
{
	read_faults(f, r ? r->iova : 0, r ? REGION_LEN : 0);
}

static void unmap_meanwhile(struct faults *f)
{
	struct region *r = removed_region();
	const uint64_t end = rte_get_timer_cycles() + MOST_SECONDS * rte_get_timer_hz();

	if (!wait_for_rounds(ROUNDS_BEFORE, end))
		return;
	read_faults(f, 0, 0);
	if (r)
		remove_region(r);
	atomic_store(&removed, true);
	if (!wait_for_rounds(atomic_load(&rounds) + ROUNDS_AFTER, end))
		return;
	/* Of many the kernel reports some: for a time after others none. */
	do {
		read_faults_of(f, r);
	} while (r && f->inside == 0 && rte_get_timer_cycles() < end - MOST_SECONDS / 2 * rte_get_timer_hz() &&
		 wait_for_rounds(atomic_load(&rounds) + 100, end));
}

static bool poison_is_whole(void)
{
	for (size_t i = 0; i < REGION_LEN; i++)
		if (receive_region.va[i] != POISON)
			return false;
	return true;
}

static void judge(const struct faults *f)
{
	printf("pool: %" PRIu64 " packets sent, %" PRIu64 " arrived\n", good_sent, good_arrived);
	printf("region send: %" PRIu64 " packets sent, %" PRIu64 " seen to arrive; after the removal: %" PRIu64
	       " sent, %" PRIu64 " seen to arrive\n", region_sent, region_arrived, after_sent, after_arrived);
	printf("region receive: %s since the removal\n", poison_is_whole() ? "unchanged" : "written to");
	printf("faults: %u in the region, %u elsewhere\n", f->inside, f->elsewhere);
	if (good_sent != good_arrived)
		wrong("packets of the pool were lost");
	if (after_sent < ROUNDS_AFTER / 2 * BURST)
		wrong("too little traffic after the removal");
	if (mode == SEND && after_arrived != 0)
		wrong("packets arrived from memory that is unmapped");
	if (mode == KEEP && (after_arrived != after_sent || region_arrived != region_sent))
		wrong("packets from the region were lost");
	if (poison_is_whole() != (mode == RECEIVE))
		wrong("the memory of \"receive\" was%s written to", mode == RECEIVE ? "" : " not");
	if ((f->inside != 0) != (mode != KEEP))
		wrong("%s", mode == KEEP ? "accesses were refused" : "the kernel reported no access");
}

int main(int argc, char **argv)
{
	struct faults faults;
	const int eal = rte_eal_init(argc, argv);
	const char *name = eal >= 0 && argc == eal + 2 ? argv[eal + 1] : "";

	while (mode <= RECEIVE && strcmp(mode_name[mode], name) != 0)
		mode++;
	if (eal < 0 || mode > RECEIVE || rte_eth_dev_count_avail() != 2 || rte_lcore_count() != 2) {
		fprintf(stderr, "unmap_under_load -l A,B -a NIC -a NIC -- keep|send|receive\n");
		return 2;
	}
	open_faults(&faults);
	setvbuf(stdout, NULL, _IOLBF, 0);

	make_memory();
	start_port(0, into_region);
	start_port(1, good);
	rte_eal_remote_launch(traffic, NULL, rte_get_next_lcore(-1, 1, 0));
	unmap_meanwhile(&faults);
	atomic_store(&stop, true);
	rte_eal_mp_wait_lcore();
	close_ports();
	read_faults_of(&faults, removed_region());
	judge(&faults);
	free_memory();
	rte_eal_cleanup();
	puts(atomic_load(&failed) ? "failed" : "as it should be");
	return atomic_load(&failed) ? 1 : 0;
}
