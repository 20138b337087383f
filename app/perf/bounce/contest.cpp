// SPDX-License-Identifier: BSD-3-Clause
#include "bounce/contest.h"

#include <algorithm>
#include <cstring>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_memory.h>

#include <iovad/iovad_control.h>

#include "errors.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr uint64_t kGranule = 4096, kNoLimit = UINT64_MAX;
// Of each domain: apart, since with VFIO both are in one container, and off EAL's own addresses.
constexpr uint64_t kWindow = uint64_t(1) << 30, kStrictFirst = kWindow, kLazyFirst = 2 * kWindow;
constexpr uint64_t kHugePage = 2 << 20, kLeastPool = 2 * kHugePage;

iovad_domain_conf domain_conf(const char *name, bool vfio, uint64_t first, iovad_unmap_policy policy)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = name;
	conf.backend = vfio ? IOVAD_BACKEND_VFIO : IOVAD_BACKEND_SOFT;
	conf.granule = kGranule;
	conf.iova_first = first;
	conf.iova_last = first + kWindow - 1;
	conf.max_ranges = 1 << 16;
	conf.unmap_policy = policy;
	return conf;
}

uint64_t page_stride(uint64_t bytes) { return (bytes + 2 * kGranule - 1) & ~(kGranule - 1); }

// The compiler must not see that nobody reads what was copied.
void keep(const void *memory) { asm volatile("" : : "r"(memory) : "memory"); }

}  // namespace

struct Contest::Pool {
	explicit Pool(iovad_domain *domain, uint64_t bytes)
	{
		iovad_bounce_conf conf;
		iovad_bounce_conf_init(&conf);
		conf.name = "contest";
		conf.domain = domain;
		conf.initial_bytes = conf.max_bytes = bytes;
		pool = iovad_bounce_pool_create(&conf);
		if (pool == nullptr)
			throw UsageError(format("cannot create a bounce pool of %s: %s", human_bytes(double(bytes)).c_str(),
						rte_strerror(rte_errno)));
	}
	~Pool()
	{
		if (pool != nullptr)
			iovad_bounce_pool_destroy(pool);
	}
	Pool(const Pool &) = delete;
	Pool &operator=(const Pool &) = delete;

	iovad_bounce_pool *pool;
};

// Ordinary memory, and memory in a region: apart, or mapping the one would only count uses of the other.
Contest::Contest(bool vfio, size_t lcores, uint64_t most_bytes)
	: stride_(page_stride(most_bytes)), memory_(lcores * 2 * stride_, Memory::Fill::present),
	  region_(lcores * stride_, Memory::Fill::present),
	  strict_(domain_conf("bounce-strict", vfio, kStrictFirst, IOVAD_UNMAP_STRICT)),
	  lazy_(domain_conf("bounce-lazy", vfio, kLazyFirst, IOVAD_UNMAP_LAZY)),
	  pool_(std::make_unique<Pool>(strict_.get(), std::max<uint64_t>(kLeastPool, lcores * 4 * stride_)))
{
	memset(memory_.at(0), 1, memory_.size());
	rte_iova_t iova;
	const int status = iovad_region_add(strict_.get(), region_.at(0), region_.size(), kNoLimit, IOVAD_BIDIRECTIONAL, &iova);
	if (status != 0)
		throw UsageError(format("cannot add the region: %s", rte_strerror(-status)));
}

Contest::~Contest() = default;

// True: it worked.
template <Way kWay> [[gnu::always_inline]] inline bool Contest::use(size_t index, uint64_t bytes) const noexcept
{
	char *const memory = memory_.at(index * 2 * stride_);
	rte_iova_t iova;
	if constexpr (kWay == Way::copy) {
		char *const other = memory + stride_;
		memcpy(other, memory, bytes);
		keep(other);
		memcpy(memory, other, bytes);
		keep(memory);
		return true;
	} else if constexpr (kWay == Way::pair) {
		return iovad_alloc(strict_.get(), kGranule, kNoLimit, &iova) == 0 &&
		       iovad_free(strict_.get(), iova, kGranule) == 0;
	} else if constexpr (kWay == Way::bounce_sent || kWay == Way::bounce) {
		constexpr uint32_t kDir = kWay == Way::bounce ? IOVAD_BIDIRECTIONAL : IOVAD_TO_DEVICE;
		return iovad_bounce_map(pool_->pool, memory, bytes, 0, kDir, &iova) == 0 &&
		       iovad_bounce_unmap(pool_->pool, iova, bytes, kDir, 0) == 0;
	} else if constexpr (kWay == Way::mapped_strict) {
		return iovad_map(strict_.get(), memory, bytes, kNoLimit, IOVAD_BIDIRECTIONAL, &iova) == 0 &&
		       iovad_unmap(strict_.get(), iova, bytes) == 0;
	} else if constexpr (kWay == Way::mapped_lazily) {
		return iovad_map(lazy_.get(), memory, bytes, kNoLimit, IOVAD_BIDIRECTIONAL, &iova) == 0 &&
		       iovad_unmap(lazy_.get(), iova, bytes) == 0;
	} else {
		iova = iovad_va2iova(strict_.get(), region_.at(index * stride_), bytes);
		keep(&iova);
		return iova != RTE_BAD_IOVA;
	}
}

template <Way kWay> double Contest::loop(size_t index, uint64_t bytes, uint64_t n) const noexcept
{
	bool worked = true;
	const uint64_t begin = rte_rdtsc();
	for (uint64_t i = 0; i < n; ++i)
		worked &= use<kWay>(index, bytes);
	const uint64_t ticks = rte_rdtsc() - begin;
	return worked ? double(ticks) * 1e9 / double(rte_get_tsc_hz()) / double(n) : -1;
}

double Contest::time(Way way, size_t index, uint64_t bytes, uint64_t n) const noexcept
{
	switch (way) {
	case Way::copy: return loop<Way::copy>(index, bytes, n);
	case Way::pair: return loop<Way::pair>(index, bytes, n);
	case Way::bounce_sent: return loop<Way::bounce_sent>(index, bytes, n);
	case Way::bounce: return loop<Way::bounce>(index, bytes, n);
	case Way::mapped_strict: return loop<Way::mapped_strict>(index, bytes, n);
	case Way::mapped_lazily: return loop<Way::mapped_lazily>(index, bytes, n);
	case Way::looked_up: return loop<Way::looked_up>(index, bytes, n);
	}
	return -1;
}

// The device has what the caller wrote, and the caller gets what the device wrote.
bool Contest::check(uint64_t bytes)
{
	char *const memory = memory_.at(0);
	for (uint64_t i = 0; i < bytes; ++i)
		memory[i] = static_cast<char>(i * 7 + bytes);
	rte_iova_t iova;
	if (iovad_bounce_map(pool_->pool, memory, bytes, 0, IOVAD_BIDIRECTIONAL, &iova) != 0)
		return false;
	bool right = true;
	for (uint64_t at = 0, n; at < bytes; at += n) {
		n = std::min(bytes - at, kHugePage - ((iova + at) & (kHugePage - 1)));
		auto *device = static_cast<char *>(iovad_iova2va(strict_.get(), iova + at, n));
		right = right && device != nullptr && memcmp(device, memory + at, n) == 0;
		for (uint64_t i = 0; right && i < n; ++i)
			device[i] = static_cast<char>(~device[i]);
	}
	right &= iovad_bounce_unmap(pool_->pool, iova, bytes, IOVAD_BIDIRECTIONAL, 0) == 0;
	for (uint64_t i = 0; right && i < bytes; ++i)
		right = memory[i] == static_cast<char>(~static_cast<char>(i * 7 + bytes));
	return right;
}

unsigned Contest::end()
{
	unsigned left = iovad_region_remove(strict_.get(), region_.at(0), region_.size()) != 0;
	left += iovad_bounce_pool_destroy(pool_->pool) != 0;
	pool_->pool = nullptr;
	for (Domain *domain : {&strict_, &lazy_}) {
		left += iovad_flush(domain->get()) != 0;
		left += domain->stats().live_ranges != 0;
		left += !domain->verify();
	}
	return left;
}

}  // namespace iovad::perf
