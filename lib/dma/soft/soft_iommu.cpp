// SPDX-License-Identifier: BSD-3-Clause
// Mapping and unmapping. translate.cpp has what becomes of accesses.
#include "dma/soft/soft_iommu.h"

#include <cerrno>
#include <new>

#include "dma/soft/valid_spans.h"

namespace iovad::dma {

namespace {

constexpr uint64_t kPageSizes = uint64_t{1} << 12 | uint64_t{1} << 21 | uint64_t{1} << 30;

Outcome invalid(const char *advice) { return {Status::invalid, EINVAL, advice}; }
Outcome no_memory(const char *advice) { return {Status::no_memory, ENOMEM, advice}; }

constexpr Outcome kInjected = {Status::failed, EIO, "the software IOMMU was told to fail"};

Outcome check_config(const SoftConfig &config)
{
	if (config.address_bits < 32 || config.address_bits > 57)
		return invalid("the software IOMMU has 32 to 57 address bits");
	if (config.page_sizes == 0 || (config.page_sizes & ~kPageSizes) != 0)
		return invalid("the software IOMMU has pages of 4 KiB, 2 MiB and 1 GiB");
	for (const Span &span : config.reserved) {
		if (span.first > span.last)
			return invalid("a reserved span ends before it begins");
	}
	return {};
}

}  // namespace

SoftIommu::SoftIommu(const SoftConfig &config)
	: last_((uint64_t{1} << config.address_bits) - 1),
	  pages_(config.address_bits, config.page_sizes, config.max_tables), config_(config),
	  valid_(soft::valid_spans(last_, config.reserved))
{
}

Outcome SoftIommu::create(const SoftConfig &config, std::unique_ptr<SoftIommu> &out)
{
	const Outcome outcome = check_config(config);
	if (!outcome.ok())
		return outcome;
	try {
		std::unique_ptr<SoftIommu> made(new SoftIommu(config));
		if (!made->pages_.make_root())
			return no_memory("no memory for the root of a page table");
		out = std::move(made);
	} catch (const std::bad_alloc &) {
		return no_memory("no memory for a software IOMMU");
	}
	return {};
}

Outcome SoftIommu::info(Info &out)
{
	try {
		out.valid = valid_;
	} catch (const std::bad_alloc &) {
		return no_memory("no memory for the list of valid spans");
	}
	const std::lock_guard guard(mutex_);
	out.page_sizes = config_.page_sizes;
	out.mappings_left = config_.max_mappings == Info::kUnlimited
				    ? Info::kUnlimited
				    : config_.max_mappings - records_.size();
	return {};
}

// Whole smallest pages, at least one, that end before 2^64.
bool SoftIommu::aligned(uint64_t iova, uint64_t len) const
{
	const uint64_t smallest = config_.page_sizes & -config_.page_sizes;
	return len != 0 && ((iova | len) & (smallest - 1)) == 0 && len - 1 <= ~iova;
}

// Whether part of it is mapped.
bool SoftIommu::taken(uint64_t iova, uint64_t len) const
{
	const auto next = records_.upper_bound(iova + (len - 1));
	return next != records_.begin() &&
	       std::prev(next)->first + (std::prev(next)->second.len - 1) >= iova;
}

bool SoftIommu::addressable(uint64_t iova, uint64_t len) const
{
	const uint64_t last = iova + (len - 1);
	for (const Span &span : valid_) {
		if (span.first <= iova && last <= span.last)
			return true;
	}
	return false;
}

// In the kernel's order, so that of several faults the same one is reported.
Outcome SoftIommu::check(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir) const
{
	if (!aligned(iova, len) || !aligned(va, len))
		return invalid("address, memory and length must be whole pages");
	if (va == 0 || va + (len - 1) >= soft::kAddressEnd)
		return invalid("memory lies from address 1 to 2^52 - 1");
	if (dir == 0 || (dir & ~uint32_t{kBidirectional}) != 0)
		return invalid("devices read, write, or both");
	if (taken(iova, len))
		return {Status::exists, EEXIST, "part of the range is mapped already"};
	if (records_.size() >= config_.max_mappings)
		return {Status::no_space, ENOSPC, "no more mappings may exist: map in longer ranges"};
	if (!addressable(iova, len))
		return invalid("devices cannot address that range");
	if (len > config_.locked_limit - locked_)
		return no_memory("no more memory may be locked");
	return {};
}

bool SoftIommu::fails_now()
{
	const uint64_t every = fail_every_.load(std::memory_order_relaxed);
	if (every == 0 || (counted_.fetch_add(1, std::memory_order_relaxed) + 1) % every != 0)
		return false;
	injected_.fetch_add(1, std::memory_order_relaxed);
	return true;
}

Outcome SoftIommu::map(uint64_t iova, void *va, uint64_t len, uint32_t dir)
{
	if (fails_now())
		return kInjected;
	const uint64_t memory = reinterpret_cast<uintptr_t>(va);
	const std::lock_guard guard(mutex_);
	const Outcome outcome = check(iova, memory, len, dir);
	return outcome.ok() ? install(iova, {memory, len, dir, State::live}) : outcome;
}

Outcome SoftIommu::install(uint64_t iova, const Record &record)
{
	Records::iterator it;
	try {
		it = records_.emplace(iova, record).first;
	} catch (const std::bad_alloc &) {
		return no_memory("no memory for the record of a mapping");
	}
	if (!pages_.map(iova, record.va, record.len, record.access)) {
		records_.erase(it);
		return no_memory("no memory for page tables");
	}
	locked_ += record.len;
	return {};
}

Outcome SoftIommu::unmap(uint64_t iova, uint64_t len, uint64_t mapped)
{
	const Backend::Run run = {iova, len, mapped};
	return unmap_runs({&run, 1}).why;
}

Backend::Unmapped SoftIommu::unmap_runs(std::span<const Backend::Run> runs)
{
	Unmapped done;
	if (fails_now()) {
		done.why = kInjected;
		return done;
	}
	for (; done.runs < runs.size(); ++done.runs) {
		const Backend::Run &run = runs[done.runs];
		done.why = remove(run.iova, run.len, run.mapped);
		if (!done.why.ok())
			break;
	}
	if (done.runs == 0)
		return done;
	// Without the mutex: a device that is waited for may want to map.
	const bool drained = requesters_.drain(config_.drain_limit);
	flushes_.fetch_add(1, std::memory_order_relaxed);
	const std::lock_guard guard(mutex_);
	for (const Backend::Run &run : runs.first(done.runs)) {
		if (drained)
			forget(run.iova, run.len, run.mapped);
		else
			keep_stuck(run.iova, run.len);
	}
	if (!drained)
		return {0, 0, {Status::failed, ETIMEDOUT, "a device does not end what it has begun"}};
	done.calls = 1;
	return done;
}

SoftIommu::Stretch SoftIommu::beginning_in(uint64_t iova, uint64_t len)
{
	return {records_.lower_bound(iova), records_.upper_bound(iova + (len - 1))};
}

// Whether they begin and end where the range does, and are so long together.
bool SoftIommu::is_whole(const Stretch &run, uint64_t iova, uint64_t len, uint64_t mapped)
{
	uint64_t sum = 0, end = iova;
	for (const auto &[first, record] : run) {
		if (sum == 0 && first != iova)
			return false;
		sum += record.len;
		end = first + record.len;
	}
	return !run.empty() && end == iova + len && sum == mapped;
}

// From now on it does not translate. The records stay until no device can be using it: they
// keep others from mapping there, or unmapping.
Outcome SoftIommu::remove(uint64_t iova, uint64_t len, uint64_t mapped)
{
	if (!aligned(iova, len))
		return invalid("address and length must be whole pages");
	const std::lock_guard guard(mutex_);
	const Stretch run = beginning_in(iova, len);
	if (!is_whole(run, iova, len, mapped)) {
		return {Status::not_found, taken(iova, len) ? EINVAL : ENOENT,
			"not exactly what was mapped"};
	}
	for (const auto &[first, record] : run) {
		if (record.state == State::draining)
			return {Status::busy, EBUSY, "another thread is unmapping it"};
	}
	for (auto &[first, record] : run) {
		if (record.state == State::live) {
			pages_.unmap(first, record.len);
			cleared_ += record.len;
		}
		record.state = State::draining;
	}
	return {};
}

void SoftIommu::forget(uint64_t iova, uint64_t len, uint64_t mapped)
{
	locked_ -= mapped;
	cleared_ -= mapped;
	const Stretch run = beginning_in(iova, len);
	records_.erase(run.begin(), run.end());
}

void SoftIommu::keep_stuck(uint64_t iova, uint64_t len)
{
	for (auto &[first, record] : beginning_in(iova, len))
		record.state = State::stuck;
}

SoftStats SoftIommu::stats()
{
	const std::lock_guard guard(mutex_);
	return {.mappings = records_.size(),
		.mapped_bytes = locked_,
		.leaves_4k = pages_.leaves(0),
		.leaves_2m = pages_.leaves(1),
		.leaves_1g = pages_.leaves(2),
		.tables = pages_.pool().taken(),
		.table_bytes = pages_.pool().bytes(),
		.flushes = flushes_.load(std::memory_order_relaxed),
		.faults = faults_.count()};
}

void SoftIommu::limit_tables(uint64_t most)
{
	const std::lock_guard guard(mutex_);
	pages_.pool().limit(most);
}

bool SoftIommu::verify_record(uint64_t iova, const Record &record) const
{
	for (uint64_t at = 0; at < record.len;) {
		const soft::Leaf leaf = pages_.find(iova + at);
		const bool right = record.state == State::live
					   ? leaf.entry.access() == record.access &&
						     leaf.va(iova + at) == record.va + at &&
						     leaf.left(iova + at) <= record.len - at
					   : leaf.entry.empty();
		if (!right)
			return false;
		at += leaf.entry.empty() ? soft::level_size(0) : leaf.left(iova + at);
	}
	return true;
}

bool SoftIommu::verify(FILE *why)
{
	const std::lock_guard guard(mutex_);
	uint64_t bytes = 0, cleared = 0, leaf_bytes = 0;
	for (const auto &[iova, record] : records_) {
		bytes += record.len;
		cleared += record.state == State::live ? 0 : record.len;
		if (!verify_record(iova, record)) {
			if (why)
				std::fprintf(why, "soft IOMMU: the mapping at %#llx translates wrongly\n",
					     static_cast<unsigned long long>(iova));
			return false;
		}
	}
	// As each mapping has its leaves, a sum that agrees means there are no others.
	for (unsigned level = 0; level < soft::kLeafLevels; ++level)
		leaf_bytes += pages_.leaves(level) * soft::level_size(level);
	const bool sums = bytes == locked_ && cleared == cleared_ && leaf_bytes == bytes - cleared;
	if (!sums && why)
		std::fprintf(why, "soft IOMMU: the sums of bytes mapped differ\n");
	return pages_.verify(why) && sums;
}

}  // namespace iovad::dma
