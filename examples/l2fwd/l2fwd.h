/* SPDX-License-Identifier: BSD-3-Clause
 * What the files of this example share.
 *
 *   options.c  the command line
 *   memory.c   the domain, and all memory that devices reach
 *   ports.c    two ports that use it
 *   sender.c   frames in ordinary heap memory, and their receipt
 *   forward.c  the loop of an lcore
 *   main.c     all of these in order, and back
 */
#ifndef L2FWD_H
#define L2FWD_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h> /* DPDK's headers need ssize_t */

#include <iovad/iovad_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

enum { PORTS = 2, BURST = 32, DESCRIPTORS = 512, MBUFS = 4096, SLOTS = 2048, SLOT_BYTES = 2048 };

struct options {
	enum iovad_backend backend;
	uint64_t limit;                 /* highest address that anything may have */
	uint64_t heap_mib;              /* of the heap for descriptor rings; 0: none */
	uint64_t frames;                /* to send */
	uint64_t seconds;               /* 0: until the frames are back, or SIGINT */
};

struct memory {
	struct iovad_domain *domain;
	uint64_t first, limit;          /* addresses in use lie between them */
	struct rte_mempool *packets;    /* what ports receive into */
	struct rte_mempool *headers;    /* mbufs without memory for data: see sender.c */
	int ring_socket;                /* of the heap; SOCKET_ID_ANY without one */
	uint8_t *buffers;               /* from malloc() */
};

/* What one port sends from the application's own memory, and what came back of it. */
struct sender {
	struct rte_ring *slots;         /* pieces of memory.buffers that are free */
	uint64_t frames;                /* to send */
	uint64_t attached;              /* slots given to mbufs, and */
	atomic_uint_fast64_t completed; /* of these, given back by the callback */
	atomic_uint_fast64_t sent;
	atomic_uint_fast64_t next;      /* number of the frame that is received next */
};

/* One way through the application. A port's receive queue and the other's transmit queue
 * are used by one lcore only, the only one that writes here. */
struct direction {
	unsigned int in, out;           /* indexes in port[] */
	uint64_t rx, tx, dropped;
	uint64_t own;                   /* not forwarded, since we had sent it */
	uint64_t verified, bad;         /* of the sender's frames */
	uint64_t violations;            /* mbufs whose address is not what it should be */
	uint64_t lowest, highest;       /* addresses seen in mbufs */
} __rte_cache_aligned;

struct app {
	struct options options;
	struct memory memory;
	uint16_t port[PORTS];
	bool configured[PORTS];
	struct rte_ether_addr mac[PORTS];
	struct direction direction[PORTS];
	struct sender sender[PORTS];
};

enum receipt { FOREIGN, PASS_ON, CONSUMED };

extern atomic_bool stop;

/* Those that return int say on stderr why it is not 0. */
int options_parse(struct options *o, int argc, char **argv);
int memory_open(struct memory *m, const struct options *o);
int memory_close(struct memory *m);
int ports_open(struct app *app);
void ports_close(struct app *app);
int senders_open(struct app *app);
void senders_close(struct app *app);

void send_frames(struct app *app, struct direction *d);
enum receipt receive_frame(struct app *app, struct direction *d, const struct rte_mbuf *m);
uint64_t frames_received(const struct app *app);
bool is_violation(const struct memory *m, rte_iova_t iova, uint64_t len, const void *va);
uint16_t transmit(struct app *app, struct direction *d, struct rte_mbuf **mbufs, uint16_t n);
int forward_loop(void *app);

#endif
