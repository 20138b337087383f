// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev/header.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>

#include <rte_errno.h>

#include "core/clock.h"
#include "eal/log/limit.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

constexpr unsigned kCache = 64;
constexpr uint16_t kPrivate = RTE_ALIGN_CEIL(sizeof(Ticket), RTE_MBUF_PRIV_ALIGN);

void log_not_unmapped(const Ticket &t, int error)
{
	static LogLimit limit;
	const LogLimit::Verdict verdict = limit.ask(core::now_ns());
	if (verdict.write)
		IOVAD_LOG(ERR, "a sent packet's 0x%" PRIx64 ", %" PRIu32 " bytes, cannot be unmapped (%s); %" PRIu64
			  " more before", t.iova, t.len, rte_strerror(-error), verdict.withheld);
}

}  // namespace

rte_mempool *Headers::create(const char *name, unsigned n, int socket_id)
{
	return rte_pktmbuf_pool_create(name, n, kCache, kPrivate, 0, socket_id);  // zeroed: unused
}

// The driver, or whoever had a clone, is done with the data.
void Headers::done(void *, void *opaque)
{
	Ticket &t = *static_cast<Ticket *>(opaque);
	rte_mbuf *const original = t.original;
	int error = 0;
	if (t.state == Ticket::slot)
		error = iovad_bounce_unmap(t.pool, t.iova, t.len, IOVAD_TO_DEVICE, 0);
	else if (t.state == Ticket::mapped)
		error = iovad_unmap(t.domain, t.iova, t.len);
	if (error) [[unlikely]]
		log_not_unmapped(t, error);
	// What the device may still reach must stay: it is nobody's from now on.
	const bool reachable = error == -EIO && t.state == Ticket::mapped;
	__atomic_store_n(&t.state, Ticket::unused, __ATOMIC_RELEASE);
	if (original && !reachable)
		rte_pktmbuf_free_seg(original);
}

unsigned Headers::in_use(rte_mempool &pool)
{
	unsigned busy = 0;
	rte_mempool_obj_iter(&pool, [](rte_mempool *, void *count, void *header, unsigned) {
		*static_cast<unsigned *>(count) += is_busy(*static_cast<rte_mbuf *>(header));
	}, &busy);
	// Those that are out are busy, but some that are just coming back.
	return std::max(busy, rte_mempool_in_use_count(&pool));
}

void Headers::put_aside(rte_mbuf &header)
{
	header.next = nullptr;
	*aside_end_ = &header;
	aside_end_ = &header.next;
}

// The first one, if it is no longer busy; else another one is the first next time.
rte_mbuf *Headers::take_aside()
{
	rte_mbuf *header = aside_;
	aside_ = header->next;
	if (!aside_)
		aside_end_ = &aside_;
	header->next = nullptr;
	if (!is_busy(*header))
		return header;
	put_aside(*header);
	return nullptr;
}

rte_mbuf *Headers::take_other(rte_mbuf *busy)
{
	do {
		put_aside(*busy);
		busy = rte_pktmbuf_alloc(pool_);
	} while (busy && is_busy(*busy));
	return busy;
}

void Headers::give_back_aside()
{
	for (rte_mbuf *header = aside_, *next; header; header = next) {
		next = header->next;
		rte_pktmbuf_free_seg(header);
	}
	aside_ = nullptr;
	aside_end_ = &aside_;
}

void Headers::attach(rte_mbuf &header, void *va, const Ticket &t)
{
	Ticket &own = ticket(header);
	own = t;
	own.shared.free_cb = done;
	own.shared.fcb_opaque = &own;
	rte_mbuf_ext_refcnt_set(&own.shared, 1);
	rte_pktmbuf_attach_extbuf(&header, va, t.iova, static_cast<uint16_t>(t.len), &own.shared);
	header.data_len = static_cast<uint16_t>(t.len);
}

}  // namespace iovad::eal
