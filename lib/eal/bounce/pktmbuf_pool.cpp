// SPDX-License-Identifier: BSD-3-Clause
#define ALLOW_EXPERIMENTAL_API  // pools of external memory were that in 22.11
#include "eal/bounce/pktmbuf_pool.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include <rte_errno.h>
#include <rte_mbuf.h>

#include "eal/bounce/slot.h"
#include "eal/dpdk_versions.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

constexpr uint64_t kMostInARow = uint64_t{1} << 21;  // longer slots lie in several pages
constexpr uint32_t kDirection = IOVAD_FROM_DEVICE;

// What one packet pool has of the bounce pool, and what DPDK has to free with it.
struct Buffers {
	explicit Buffers(iovad_bounce_pool &p, rte_mempool &t) : pool(p), target(t) {}
	~Buffers()
	{
		for (const rte_pktmbuf_extmem &slot : slots) {
			if (const int error = iovad_bounce_unmap(&pool, slot.buf_iova, slot.buf_len, kDirection,
								 IOVAD_BOUNCE_F_SKIP_COPY))
				IOVAD_LOG(ERR, "a packet pool's buffers stay mapped: %s", rte_strerror(-error));
		}
	}
	Buffers(const Buffers &) = delete;
	Buffers &operator=(const Buffers &) = delete;

	iovad_bounce_pool &pool;
	rte_mempool &target;
	std::vector<rte_pktmbuf_extmem> slots;
	const rte_mempool *packets = nullptr;
	rte_mempool_memchunk_free_cb_t *free_chunk = nullptr;
	void *free_chunk_opaque = nullptr;
	Buffers *next = nullptr;
};

std::mutex mutex;
// Of this process. What is in it when the process ends stays: its lcores may still receive.
Buffers *all;
std::atomic<uint64_t> version = 1;

// A slot for as many buffers as there is one for. 0 or a negative errno.
int add_slot(Buffers &buffers, uint64_t wanted, uint16_t size)
{
	int error = -ENOSPC;
	for (uint64_t n = std::min(wanted, kMostInARow / size); n > 0; n /= 2) {
		rte_pktmbuf_extmem slot{.buf_ptr = nullptr, .buf_iova = 0, .buf_len = n * size, .elt_size = size};
		// It stands for no memory of ours: nothing is ever copied from or to where we say.
		error = iovad_bounce_map(&buffers.pool, &buffers, slot.buf_len, 0, kDirection | IOVAD_BOUNCE_OVERWRITE,
					 &slot.buf_iova);
		if (error == 0) {
			slot.buf_ptr = slot_va(buffers.pool, slot.buf_iova);
			buffers.slots.push_back(slot);
			return 0;
		}
	}
	return error;
}

int add_slots(Buffers &buffers, unsigned n, uint16_t size)
{
	for (uint64_t has = 0; has < n; has += buffers.slots.back().buf_len / size) {
		buffers.slots.reserve(buffers.slots.size() + 1);
		if (const int error = add_slot(buffers, n - has, size))
			return error;
	}
	return 0;
}

// Called by rte_mempool_free(), when no mbuf is in use.
void drop(rte_mempool_memhdr *chunk, void *opaque)
{
	std::unique_ptr<Buffers> buffers(static_cast<Buffers *>(opaque));
	{
		std::lock_guard guard(mutex);
		Buffers **link = &all;
		while (*link != buffers.get())
			link = &(*link)->next;
		*link = buffers->next;
		version.fetch_add(1, std::memory_order_release);
	}
	if (buffers->free_chunk)
		buffers->free_chunk(chunk, buffers->free_chunk_opaque);
}

// From now on the slots go with the pool.
void tie(rte_mempool &packets, std::unique_ptr<Buffers> buffers)
{
	rte_mempool_memhdr *chunk = STAILQ_FIRST(&packets.mem_list);
	buffers->packets = &packets;
	buffers->free_chunk = chunk->free_cb;
	buffers->free_chunk_opaque = chunk->opaque;
	std::lock_guard guard(mutex);
	buffers->next = all;
	all = buffers.get();
	chunk->free_cb = drop;
	chunk->opaque = buffers.release();
	version.fetch_add(1, std::memory_order_release);
}

rte_mempool *fail(int error)
{
	rte_errno = error;
	return nullptr;
}

}  // namespace

rte_mempool *create_bounce_pktmbuf_pool(const BouncePktmbufPoolConf &conf, iovad_bounce_pool &pool,
					rte_mempool &target)
try {
	if (!kMbufsHoldIova)
		return fail(ENOTSUP);
	const uint16_t room = target.private_data_size >= sizeof(rte_pktmbuf_pool_private)
				      ? rte_pktmbuf_data_room_size(&target) : uint16_t{0};
	if (conf.n == 0 || room <= RTE_PKTMBUF_HEADROOM || room > UINT16_MAX - RTE_CACHE_LINE_SIZE)
		return fail(EINVAL);
	const auto size = static_cast<uint16_t>(RTE_ALIGN_CEIL(room, RTE_CACHE_LINE_SIZE));
	auto buffers = std::make_unique<Buffers>(pool, target);
	if (const int error = add_slots(*buffers, conf.n, size))
		return fail(-error);
	const auto &slots = buffers->slots;
	rte_mempool *packets = rte_pktmbuf_pool_create_extbuf(conf.name, conf.n, conf.cache_size, 0, room,
							      target.socket_id, slots.data(),
							      static_cast<unsigned>(slots.size()));
	if (!packets)
		return fail(rte_errno);
	tie(*packets, std::move(buffers));
	return packets;
} catch (const std::bad_alloc &) {
	return fail(ENOMEM);
}

rte_mempool *bounce_target(const rte_mempool *pool)
{
	std::lock_guard guard(mutex);
	const Buffers *b = all;
	while (b && b->packets != pool)
		b = b->next;
	return b ? &b->target : nullptr;
}

uint64_t bounce_pktmbuf_bytes(const iovad_bounce_pool &pool)
{
	std::lock_guard guard(mutex);
	uint64_t bytes = 0;
	for (const Buffers *b = all; b; b = b->next) {
		for (const rte_pktmbuf_extmem &slot : b->slots)
			bytes += &b->pool == &pool ? slot.buf_len : 0;
	}
	return bytes;
}

uint64_t bounce_targets_version() { return version.load(std::memory_order_acquire); }

}  // namespace iovad::eal
