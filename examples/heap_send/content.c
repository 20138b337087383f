/* SPDX-License-Identifier: BSD-3-Clause
 * What is sent. Nothing is done to it for the device's sake: a file's pages stay the page cache's,
 * the heap's the heap's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap_send.h"

static int open_file(struct content *c, const char *name)
{
	const int fd = open(name, O_RDONLY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return failed(name, errno, "");
	c->len = (uint64_t)st.st_size;
	c->data = mmap(NULL, c->len, PROT_READ, MAP_SHARED, fd, 0); /* an empty file cannot be mapped */
	close(fd);
	if (c->data == MAP_FAILED) {
		c->data = NULL;
		return failed(name, errno, "");
	}
	c->is_file = true;
	return 0;
}

static int fill_heap(struct content *c, uint64_t len)
{
	uint32_t x = 1;

	c->data = malloc(len);
	if (c->data == NULL)
		return failed("no memory to send", ENOMEM, "");
	c->len = len;
	for (uint64_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		c->data[i] = x >> 24;
	}
	return 0;
}

/* The last mbuf is freed and so are we: content_close() sees to that. */
static void nobody_uses_it(void *data, void *opaque)
{
	(void)data;
	(void)opaque;
}

int content_open(struct content *c, const struct options *o)
{
	if (!o->send)
		return 0;
	c->users.free_cb = nobody_uses_it;
	rte_mbuf_ext_refcnt_set(&c->users, 1);
	if ((o->file != NULL ? open_file(c, o->file) : fill_heap(c, o->heap_mib << 20)) != 0)
		return -1;
	printf("content: %" PRIu64 " bytes at %p - %p\n", c->len, (void *)c->data, (void *)(c->data + c->len - 1));
	return 0;
}

void content_close(struct content *c)
{
	if (c->data == NULL)
		return;
	if (c->is_file)
		munmap(c->data, c->len);
	else
		free(c->data);
}
