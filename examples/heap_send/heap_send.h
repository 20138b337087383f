/* SPDX-License-Identifier: BSD-3-Clause
 * What the files of this example share.
 *
 *   options.c   the command line
 *   content.c   what is sent: a file, or memory from malloc()
 *   memory.c    the domain, and all memory that the device reaches
 *   port.c      a port that uses it
 *   sender.c    frames whose payload is the content, where it lies
 *   receiver.c  their receipt, and whether they are what was sent
 *   main.c      all of these in order, and back
 */
#ifndef HEAP_SEND_H
#define HEAP_SEND_H

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h> /* DPDK's headers need ssize_t */

#include <iovad/iovad_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

enum { BURST = 32, RX_DESCRIPTORS = 512, MOST_TX_DESCRIPTORS = 2048, LONGEST_PAYLOAD = 1450 };

/* How the device gets at memory that is not DPDK's. NONE: not at all, it is told virtual addresses. */
enum mode { MODE_BOUNCE, MODE_REGION, MODE_NONE };

struct options {
	enum iovad_backend backend;
	enum mode mode;
	const char *device;             /* PCI address, for a VFIO container of its own; or NULL */
	const char *file;               /* to send; or NULL */
	uint64_t heap_mib;              /* to send where there is no file */
	uint64_t frames;                /* 0: the content once */
	uint64_t payload[2];            /* bytes in a frame, by turns */
	uint64_t rate;                  /* frames in a second; 0: as fast as it goes */
	uint64_t seconds;               /* without progress, and it ends */
	uint64_t pool_mib, copy_max;    /* with MODE_BOUNCE */
	uint64_t descriptors;           /* of the transmit queue */
	bool send, receive;
	bool reply;                     /* send nothing before something has come */
};

/* In the byte order of this machine: nobody else is meant to read it. */
struct frame {
	struct rte_ether_hdr ether;
	uint16_t length;                /* of the payload, which follows */
	uint32_t number;
	uint32_t total;                 /* frames in the stream */
	uint32_t checksum;              /* of the payload and the number */
} __rte_packed __rte_aligned(2);

struct content {
	uint8_t *data;
	uint64_t len;
	bool is_file;
	struct rte_mbuf_ext_shared_info users; /* one more than there are mbufs attached to it */
};

struct memory {
	int container;                  /* of our own; -1: EAL's, or none */
	struct iovad_domain *domain;
	struct iovad_bounce_pool *bounce;
	struct rte_mempool *packets;    /* the application's: what it sends from, and gets */
	struct rte_mempool *arriving;   /* what the device receives into; may be `packets` */
	struct rte_mempool *attached;   /* mbufs without memory for data: see sender.c */
	int ring_socket;                /* of the heap for rings; SOCKET_ID_ANY without one */
};

struct sender {
	uint64_t frames, sent;          /* frames: to send */
	uint64_t made, bytes;           /* so far, and */
	uint32_t checksum;              /* the sum of theirs */
	uint64_t offset;                /* in the content, of the next one */
	struct rte_mbuf *waiting[BURST];/* they were not sent yet */
	uint16_t first, end;            /* of these */
};

struct receiver {
	uint64_t received, bytes, bad, foreign;
	uint64_t next, late;            /* highest number yet, and one; those below that */
	uint32_t checksum;              /* the sum of theirs */
	uint64_t total;                 /* frames in the stream; 0: not known yet */
};

struct app {
	struct options options;
	struct content content;
	struct memory memory;
	uint16_t port;
	bool configured;
	struct rte_ether_addr mac;
	struct sender sender;
	struct receiver receiver;
};

enum { FRAME_TYPE = 0x88b5 /* for experiments */ };

extern atomic_bool stop;

/* Those that return int say on stderr why it is not 0. */
int options_parse(struct options *o, int argc, char **argv);
int content_open(struct content *c, const struct options *o);
void content_close(struct content *c);
int memory_open(struct memory *m, const struct options *o, const struct content *c);
int memory_close(struct memory *m, const struct options *o, const struct content *c);
int port_open(struct app *app);
void port_close(struct app *app);
void sender_open(struct app *app);
bool sender_work(struct app *app);
void sender_close(struct app *app);
bool receiver_work(struct app *app);
int failed(const char *what, int error, const char *advice);

#endif
