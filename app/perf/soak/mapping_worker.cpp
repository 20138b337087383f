// SPDX-License-Identifier: BSD-3-Clause
#include "soak/mapping_worker.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <iovad/iovad_dma.h>

namespace iovad::perf {
namespace {

constexpr size_t kSmall = 96, kLarge = 3, kRegions = 4, kBounced = 24;
constexpr uint64_t kSmallBytes = 128 << 10, kLargeBytes = uint64_t{256} << 20, kRegionBytes = 4 << 20;
constexpr uint64_t kAll = kSmall * kSmallBytes + kLarge * kLargeBytes + kRegions * kRegionBytes;
constexpr uint64_t kNoLimit = UINT64_MAX;

char byte_of(uint64_t seed, uint64_t i) { return static_cast<char>((seed + i) * 0x9e3779b97f4a7c15 >> 56); }

}  // namespace

MappingWorker::MappingWorker(iovad_domain *domain, Board &board, unsigned seat,
			     const std::vector<iovad_bounce_pool *> &pools, bool faults)
	: Worker(domain, board, seat, board.seed * 1000003 + seat), faults_(faults ? meet_fault : not_fail), pools_(pools),
	  memory_(kAll, Memory::Fill::reserved), device_(iovad_device_create(domain))
{
	if (!device_)
		throw std::bad_alloc();
	uint64_t at = 0;
	const auto add = [&](size_t n, uint64_t bytes) {
		for (; n > 0; n--, at += bytes)
			slots_.push_back({memory_.at(at), bytes, false, false});
	};
	add(kSmall, kSmallBytes);
	add(kLarge, kLargeBytes);
	add(kRegions, kRegionBytes);
}

void MappingWorker::step()
{
	switch (below(16)) {
	case 0 ... 4: return map();
	case 5: return add_region();
	case 6 ... 7: return bounce();
	case 8 ... 9:
		if (!bounced_.empty())
			unbounce(below(bounced_.size()));
		return;
	default: return Worker::step();
	}
}

void MappingWorker::give_back() noexcept
{
	while (!bounced_.empty())
		unbounce(bounced_.size() - 1);
	Worker::give_back();
}

void MappingWorker::check(bool settled) noexcept
{
	for (Slot &slot : slots_)
		slot.may_linger &= !settled;
	for (const Holding &h : seat_.holding) {
		if (h.state.load(std::memory_order_relaxed) == Holding::held && h.va != nullptr)
			check(h);
	}
}

MappingWorker::Slot *MappingWorker::free_slot(size_t first, size_t end)
{
	Slot &slot = slots_[first + below(end - first)];
	return slot.used ? nullptr : &slot;
}

// ---- what devices see ----

// Good for as long as it stays mapped, which we know.
void *MappingWorker::reach(uint64_t iova, uint64_t len, uint32_t dir)
{
	iovad_device_begin(device_.get());
	void *const memory = iovad_device_reach(device_.get(), iova, len, dir, nullptr);
	iovad_device_end(device_.get());
	return memory;
}

// Both ends, and somewhere between: pages that are all in one mapping lie side by side.
bool MappingWorker::leads_to(uint64_t iova, const void *va, uint64_t len, uint32_t dir)
{
	const auto *const memory = static_cast<const char *>(va);
	for (const uint64_t at : {uint64_t{0}, below(len), len - 1}) {
		if (reach(iova + at, 1, dir) != memory + at)
			return false;
	}
	return iovad_iova2va(domain_, iova, len) == va;
}

void MappingWorker::stamp(const Holding &h)
{
	auto *const memory = static_cast<char *>(h.va);
	memory[0] = byte_of(h.iova, 0);
	memory[h.len - 1] = byte_of(h.iova, h.len - 1);
}

bool MappingWorker::holds_stamp(const Holding &h, uint64_t offset)
{
	const void *const seen = reach(h.iova + offset, 1, IOVAD_TO_DEVICE);
	return seen != nullptr && *static_cast<const char *>(seen) == byte_of(h.iova, offset);
}

void MappingWorker::check(const Holding &h)
{
	if (!leads_to(h.iova, h.va, h.len, IOVAD_BIDIRECTIONAL))
		wrong(seat_.counts.astray, "leads elsewhere", h.iova, h.len);
	else if (!holds_stamp(h, 0) || !holds_stamp(h, h.len - 1))
		wrong(seat_.counts.spoilt, "holds something else", h.iova, h.len);
}

// ---- mappings and regions ----

void MappingWorker::map()
{
	doing("iovad_map");
	Slot *const slot = one_in(64) ? free_slot(kSmall, kSmall + kLarge) : free_slot(0, kSmall);
	Holding *const h = free_holding();
	if (slot == nullptr || h == nullptr)
		return;
	const uint64_t offset = one_in(2) ? 0 : below(kSoakGranule);
	const uint64_t limit = random_limit(slot->size / kSoakGranule);
	rte_iova_t iova = 0;
	expect(*h, Holding::mapped, 2 + below(slot->size - offset - 1));
	if (judge("iovad_map", iovad_map(domain_, slot->va + offset, h->len, limit, IOVAD_BIDIRECTIONAL, &iova), lack | faults_) !=
	    Outcome::done)
		return forget(*h);
	slot->used = true;
	h->va = slot->va + offset;
	h->slot = static_cast<uint32_t>(slot - slots_.data());
	own(*h, iova, limit);
	stamp(*h);
	check(*h);
}

void MappingWorker::add_region()
{
	doing("iovad_region_add");
	Slot *const slot = free_slot(kSmall + kLarge, slots_.size());
	Holding *const h = free_holding();
	if (slot == nullptr || h == nullptr)
		return;
	rte_iova_t iova = 0;
	const uint64_t limit = random_limit(slot->size / kSoakGranule);
	expect(*h, Holding::region, slot->size - below(256) * kSoakGranule);
	if (judge("iovad_region_add", iovad_region_add(domain_, slot->va, h->len, limit, IOVAD_BIDIRECTIONAL, &iova),
		  lack | faults_) != Outcome::done)
		return forget(*h);
	slot->used = true;
	h->va = slot->va;
	h->slot = static_cast<uint32_t>(slot - slots_.data());
	own(*h, iova, limit);
	stamp(*h);
	check(*h);
	map_in_region(*h);
}

// Which shares the region's mapping.
void MappingWorker::map_in_region(const Holding &region)
{
	const uint64_t at = below(region.len - 1), len = 1 + below(region.len - at);
	auto *const va = static_cast<char *>(region.va) + at;
	rte_iova_t iova = 0;
	if (judge("iovad_map", iovad_map(domain_, va, len, kNoLimit, IOVAD_BIDIRECTIONAL, &iova), not_fail) != Outcome::done)
		return;
	if (iova != region.iova + at || iovad_va2iova(domain_, va, len) != iova)
		wrong(seat_.counts.astray, "is not the region's", iova, len);
	judge("iovad_unmap_strict", iovad_unmap_strict(domain_, iova, len), not_fail);
}

void MappingWorker::release(Holding &h)
{
	if (h.va == nullptr)
		return Worker::release(h);
	check(h);
	Slot &slot = slots_[h.slot];
	const bool lazily = h.kind == Holding::mapped && one_in(2);
	doing(lazily ? "iovad_unmap" : h.kind == Holding::mapped ? "iovad_unmap_strict" : "iovad_region_remove");
	part(h);
	int status;
	if (h.kind == Holding::region)
		status = iovad_region_remove(domain_, h.va, h.len);
	else
		status = lazily ? iovad_unmap(domain_, h.iova, h.len) : iovad_unmap_strict(domain_, h.iova, h.len);
	// Lazily too: it is done here where it is long, and where the control lcore gets no CPU.
	const Outcome outcome = judge("unmapping", status, faults_);
	// What could not be unmapped is in quarantine, and no longer ours.
	slot.may_linger |= lazily || outcome != Outcome::done;
	slot.used = false;
	if (!slot.may_linger && reach(h.iova, 1, IOVAD_TO_DEVICE) == h.va)
		wrong(seat_.counts.astray, "devices reach what was unmapped strictly", h.iova, h.len);
	forget(h);
}

// ---- bounce pools ----

void MappingWorker::bounce()
{
	doing("iovad_bounce_map");
	if (bounced_.size() == kBounced || pools_.empty())
		return;
	iovad_bounce_pool *const pool = pools_[below(pools_.size())];
	Bounced b;
	b.len = 1 + below(one_in(32) ? 3 << 20 : one_in(4) ? 256 << 10 : 9000);
	b.seed = random_();
	b.dir = static_cast<uint32_t>(1 + below(3));
	b.memory.resize(b.len);
	for (uint64_t i = 0; i < b.len; i++)
		b.memory[i] = byte_of(b.seed, i);
	rte_iova_t iova = 0;
	if (judge("iovad_bounce_map", iovad_bounce_map(pool, b.memory.data(), b.len, 0, b.dir, &iova), lack) != Outcome::done)
		return;
	b.iova = iova;
	if (!seen_by_device(b))
		wrong(seat_.counts.spoilt, "a device sees other data than was bounced", iova, b.len);
	bounced_.emplace_back(pool, std::move(b));
}

// In pieces, since a long slot lies in several mappings. False: a device faults, or use() says so.
template <class Use> bool MappingWorker::for_each_piece(const Bounced &b, uint32_t dir, Use use)
{
	for (uint64_t at = 0, n; at < b.len; at += n) {
		n = std::min(b.len - at, kSoakGranule - (b.iova + at) % kSoakGranule);
		auto *const seen = static_cast<char *>(reach(b.iova + at, n, dir));
		if (seen == nullptr || !use(seen, at, n))
			return false;
	}
	return true;
}

bool MappingWorker::seen_by_device(const Bounced &b)
{
	return for_each_piece(b, IOVAD_TO_DEVICE, [&](const char *seen, uint64_t at, uint64_t n) {
		return memcmp(seen, &b.memory[at], n) == 0;
	});
}

bool MappingWorker::write_as_device(const Bounced &b, uint64_t seed)
{
	return for_each_piece(b, IOVAD_FROM_DEVICE, [&](char *seen, uint64_t at, uint64_t n) {
		for (uint64_t i = 0; i < n; i++)
			seen[i] = byte_of(seed, at + i);
		return true;
	});
}

void MappingWorker::unbounce(size_t i)
{
	doing("iovad_bounce_unmap");
	std::swap(bounced_[i], bounced_.back());
	auto &[pool, b] = bounced_.back();
	const uint64_t seed = random_();
	uint64_t expected = b.seed;
	if (one_in(4)) {
		const uint64_t at = below(b.len), n = 1 + below(b.len - at);
		judge("iovad_bounce_sync_for_device", iovad_bounce_sync_for_device(pool, b.iova, at, n, b.dir), not_fail);
		judge("iovad_bounce_sync_for_cpu", iovad_bounce_sync_for_cpu(pool, b.iova, at, n, b.dir), not_fail);
	}
	if (!seen_by_device(b))
		wrong(seat_.counts.spoilt, "what was bounced changed", b.iova, b.len);
	if (b.dir != IOVAD_TO_DEVICE) {
		if (!write_as_device(b, seed))
			wrong(seat_.counts.astray, "a device faults", b.iova, b.len);
		expected = seed;
	}
	judge("iovad_bounce_unmap", iovad_bounce_unmap(pool, b.iova, b.len, b.dir, 0), not_fail);
	for (uint64_t at = 0; at < b.len; at++) {
		if (b.memory[at] != byte_of(expected, at)) {
			wrong(seat_.counts.spoilt, "the caller gets other data than the device wrote", b.iova, b.len);
			break;
		}
	}
	bounced_.pop_back();
}

}  // namespace iovad::perf
