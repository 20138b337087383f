// SPDX-License-Identifier: BSD-3-Clause
#include "soak/worker.h"

#include <bit>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <thread>

namespace iovad::perf {
namespace {

constexpr unsigned kBulk = 32;
constexpr uint64_t kCachedGranules = 64, kMostGranules = (uint64_t{256} << 20) / kSoakGranule;
constexpr uint64_t kNoLimit = UINT64_MAX, kLimit24 = (1 << 24) - 1, kLimit32 = UINT32_MAX;
// Where a worker reserves: amid what others take, apart from what others reserve.
constexpr uint64_t kPlot = uint64_t{16} * kSoakGranule, kPlots = 64, kYards = kSoakLast + 1 - (uint64_t{8} << 30);

}  // namespace

Worker::Worker(iovad_domain *domain, Board &board, unsigned seat, uint64_t seed)
	: domain_(domain), board_(board), number_(seat), seat_(board.seat[seat]), random_(seed)
{
}

void Worker::run(uint64_t steps) noexcept
{
	for (uint64_t i = 0; (steps == 0 || i < steps) && !board_.stop.load(std::memory_order_relaxed); i++) {
		stand_if_told();
		step();
		seat_.counts.steps++;
		seat_.steps.store(seat_.counts.steps, std::memory_order_relaxed);
	}
	doing("nothing more");
}

void Worker::stand_if_told()
{
	// Acquire and release: the conductor, which counts while all stand, sees what they wrote, and they what it did.
	const uint64_t halt = board_.halt.load(std::memory_order_acquire);
	if (halt % 2 == 0)
		return;
	seat_.standing.store(halt, std::memory_order_release);
	while (board_.halt.load(std::memory_order_acquire) == halt)
		std::this_thread::sleep_for(std::chrono::microseconds(100));
}

void Worker::step()
{
	switch (below(16)) {
	case 0: return take_many();
	case 1: return give_many();
	case 2: return take_exact();
	case 3: return reserve();
	case 4 ... 9: return take_one();
	default:
		if (Holding *h = random_holding())
			release(*h);
	}
}

void Worker::give_back() noexcept
{
	for (Holding &h : seat_.holding) {
		if (h.state.load(std::memory_order_relaxed) == Holding::held)
			release(h);
	}
}

Worker::Outcome Worker::judge(const char *what, int status, unsigned may)
{
	if (status == 0)
		return Outcome::done;
	if (((may & lack) != 0 && (status == -ENOSPC || status == -EAGAIN)) || ((may & meet_fault) != 0 && status == -EIO)) {
		seat_.counts.refused++;
		return Outcome::refused;
	}
	seat_.counts.failed++;
	if (seat_.counts.first_error == 0) {
		seat_.counts.first_error = status;
		fprintf(stderr, "iovad-perf: worker %u: %s: %s\n", number_, what, strerror(-status));
	}
	return Outcome::failed;
}

void Worker::wrong(uint64_t &counter, const char *what, uint64_t iova, uint64_t len)
{
	if (counter++ == 0)
		fprintf(stderr, "iovad-perf: worker %u: 0x%" PRIx64 ", %" PRIu64 " bytes: %s\n", number_, iova, len, what);
}

// ---- what it owns ----

Holding *Worker::free_holding()
{
	const size_t first = below(kHoldings);
	for (size_t i = 0; i < 8; i++) {
		Holding &h = seat_.holding[(first + i) % kHoldings];
		if (h.state.load(std::memory_order_relaxed) == Holding::empty)
			return &h;
	}
	return nullptr;
}

Holding *Worker::random_holding()
{
	const size_t first = below(kHoldings);
	for (size_t i = 0; i < 8; i++) {
		Holding &h = seat_.holding[(first + i) % kHoldings];
		if (h.state.load(std::memory_order_relaxed) == Holding::held)
			return &h;
	}
	return nullptr;
}

void Worker::expect(Holding &h, Holding::Kind kind, uint64_t len)
{
	h.kind = kind;
	h.iova = 0;
	h.len = len;
	h.va = nullptr;
	h.state.store(Holding::arriving, std::memory_order_release);
}

void Worker::own(Holding &h, uint64_t iova, uint64_t limit)
{
	h.iova = iova;
	if (iova == 0 || h.len - 1 > limit || iova > limit - (h.len - 1) || iova > kSoakLast - (h.len - 1))
		wrong(seat_.counts.astray, "beyond the limit", iova, h.len);
	else if (!board_.marks.claim(iova, h.len, number_))
		wrong(seat_.counts.double_owned, "owned twice", iova, h.len);
	h.state.store(Holding::held, std::memory_order_release);
}

void Worker::part(Holding &h)
{
	board_.marks.release(h.iova, h.len, number_);
	h.state.store(Holding::leaving, std::memory_order_release);
}

void Worker::release(Holding &h)
{
	doing("giving back");
	part(h);
	const int status = give_back_to(domain_, h);
	// Part of what is reserved may need a node.
	if (judge("giving back", status, h.kind == Holding::reserved ? lack : not_fail) == Outcome::refused) {
		board_.marks.claim(h.iova, h.len, number_);
		h.state.store(Holding::held, std::memory_order_release);
		return;
	}
	forget(h);
}

// ---- steps ----

uint64_t Worker::random_granules()
{
	switch (below(64)) {
	case 0: return 1 + below(one_in(16) ? kMostGranules : 4096);
	case 1 ... 7: return 1 + below(512);
	case 8 ... 24: return 1 + below(kCachedGranules);
	default: return 1;
	}
}

uint64_t Worker::random_limit(uint64_t granules)
{
	const uint64_t n = below(32);
	if (n == 0 && granules <= 8)
		return kLimit24;
	if (n < 10)
		return kLimit32;
	return n < 20 ? kSoakLast : n == 20 ? (uint64_t{1} << 40) - 1 : kNoLimit;
}

void Worker::take_one()
{
	doing("iovad_alloc");
	Holding *h = free_holding();
	if (h == nullptr)
		return;
	const uint64_t granules = random_granules(), limit = random_limit(granules);
	rte_iova_t iova = 0;
	expect(*h, Holding::cached, granules * kSoakGranule);
	if (judge("iovad_alloc", iovad_alloc(domain_, h->len, limit, &iova), lack) != Outcome::done)
		return forget(*h);
	own(*h, iova, limit);
	if (iova % std::bit_ceil(h->len) != 0)
		wrong(seat_.counts.astray, "not naturally aligned", iova, h->len);
}

void Worker::take_many()
{
	doing("iovad_alloc_bulk");
	Holding *taken[kBulk];
	unsigned n = 0;
	for (const auto want = static_cast<unsigned>(1 + below(kBulk)); n < want; n++) {
		taken[n] = free_holding();
		if (taken[n] == nullptr)
			break;
		expect(*taken[n], Holding::cached, kSoakGranule);
	}
	rte_iova_t iovas[kBulk];
	const uint64_t limit = random_limit(1);
	const Outcome outcome = judge("iovad_alloc_bulk", iovad_alloc_bulk(domain_, kSoakGranule, limit, iovas, n), lack);
	for (unsigned i = 0; i < n; i++) {
		if (outcome == Outcome::done)
			own(*taken[i], iovas[i], limit);
		else
			forget(*taken[i]);
	}
}

void Worker::give_many()
{
	doing("iovad_free_bulk");
	Holding *given[kBulk];
	rte_iova_t iovas[kBulk];
	unsigned n = 0;
	for (const auto want = 1 + below(kBulk); n < want;) {
		Holding *h = random_holding();
		if (h == nullptr || h->kind != Holding::cached || h->len != kSoakGranule)
			break;
		part(*h);
		iovas[n] = h->iova;
		given[n++] = h;
	}
	judge("iovad_free_bulk", iovad_free_bulk(domain_, iovas, kSoakGranule, n), not_fail);
	for (unsigned i = 0; i < n; i++)
		forget(*given[i]);
}

void Worker::take_exact()
{
	doing("iovad_alloc_range");
	Holding *h = free_holding();
	if (h == nullptr)
		return;
	const uint64_t granules = random_granules(), limit = random_limit(granules);
	const uint64_t align = kSoakGranule << below(10);
	rte_iova_t iova = 0;
	expect(*h, Holding::exact, granules * kSoakGranule);
	if (judge("iovad_alloc_range", iovad_alloc_range(domain_, h->len, align, limit, &iova), lack) != Outcome::done)
		return forget(*h);
	own(*h, iova, limit);
	if (iova % align != 0)
		wrong(seat_.counts.astray, "not aligned", iova, h->len);
}

void Worker::reserve()
{
	doing("iovad_reserve");
	Holding *h = free_holding();
	const uint64_t iova = kYards - (number_ * kPlots + below(kPlots)) * kPlot;
	if (h == nullptr)
		return;
	for (const Holding &other : seat_.holding) {
		if (other.state.load(std::memory_order_relaxed) != Holding::empty && other.kind == Holding::reserved &&
		    other.iova == iova)
			return;
	}
	expect(*h, Holding::reserved, one_in(2) ? kPlot : (1 + below(kPlot / kSoakGranule)) * kSoakGranule);
	const int status = iovad_reserve(domain_, iova, h->len);
	if (status == -EEXIST)  // somebody has part of it
		return forget(*h);
	if (judge("iovad_reserve", status, lack) != Outcome::done)
		return forget(*h);
	own(*h, iova, kNoLimit);
}

}  // namespace iovad::perf
