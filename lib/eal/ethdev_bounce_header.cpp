// SPDX-License-Identifier: BSD-3-Clause
#include "eal/ethdev_bounce_header.h"

#include <cinttypes>

#include <rte_errno.h>

#include "core/clock.h"
#include "eal/log.h"
#include "eal/log_limit.h"

namespace iovad::eal {

namespace {

constexpr unsigned kCache = 64;
constexpr unsigned kTries = 16;  // of headers whose data somebody still shares
constexpr uint16_t kPrivate = RTE_ALIGN_CEIL(sizeof(Ticket), RTE_MBUF_PRIV_ALIGN);

void log_not_unmapped(const Ticket &t, int error)
{
	static LogLimit limit;
	const LogLimit::Verdict verdict = limit.ask(core::now_ns());
	if (verdict.write)
		IOVAD_LOG(ERR, "a sent packet's 0x%" PRIx64 ", %" PRIu32 " bytes, cannot be unmapped (%s); %" PRIu64 " more before",
			  t.iova, t.len, rte_strerror(-error), verdict.withheld);
}

}  // namespace

rte_mempool *Headers::create(const char *name, unsigned n, int socket_id)
{
	return rte_pktmbuf_pool_create(name, n, kCache, kPrivate, 0, socket_id);  // zeroed: unused
}

// The driver, or who else held the last reference, is done with the data. The header itself may
// be free already, where it was not the header that held it.
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
	__atomic_store_n(&t.state, Ticket::unused, __ATOMIC_RELEASE);
	if (original)
		rte_pktmbuf_free_seg(original);
}

// A header comes back to its pool when it is freed, though clones may still share its data
// (rte_pktmbuf_clone()). Such are rare, and passed over.
rte_mbuf *Headers::take(rte_mempool &headers)
{
	rte_mbuf *busy[kTries], *out = nullptr;
	unsigned n = 0;
	while (n < kTries && (out = rte_pktmbuf_alloc(&headers)) != nullptr) {
		if (__atomic_load_n(&ticket(*out).state, __ATOMIC_ACQUIRE) == Ticket::unused) [[likely]]
			break;
		busy[n++] = out;
		out = nullptr;
	}
	if (n != 0) [[unlikely]]
		rte_pktmbuf_free_bulk(busy, n);
	return out;
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
