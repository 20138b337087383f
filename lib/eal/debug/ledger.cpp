// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/ledger.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <vector>

#include <oneapi/tbb/concurrent_hash_map.h>

namespace iovad::eal::debug {

namespace {

struct Key {
	What what;
	uint64_t start;
};

struct KeyCompare {
	static size_t hash(const Key &key) { return std::hash<uint64_t>()(key.start >> 11 ^ key.start << 3 ^ static_cast<uint64_t>(key.what)); }
	static bool equal(const Key &a, const Key &b) { return a.what == b.what && a.start == b.start; }
};

// Several: buffers of one page share what is mapped, and its address.
using Live = tbb::concurrent_hash_map<Key, std::vector<Record>, KeyCompare>;
using Deferred = tbb::concurrent_hash_map<uint64_t, uint32_t>;

}  // namespace

struct Ledger::Tables {
	explicit Tables(uint32_t history) : most_ended(history) {}

	// Nobody may add or erase while one walks over the container, which holds this exclusively.
	mutable std::shared_mutex walk;
	Live live;
	Deferred deferred;

	mutable std::mutex ended_mutex;
	const uint32_t most_ended;
	std::vector<Ended> ended;  // a ring, once it is full
	uint64_t ended_ever = 0;

	std::atomic<uint64_t> lost = 0;
};

Ledger::Ledger(uint32_t history, uint64_t granule) : mask_(granule - 1), tables_(std::make_unique<Tables>(history)) {}

Ledger::~Ledger() = default;

uint64_t Ledger::key_of(What what, uint64_t start) const { return what == What::mapping ? start & ~mask_ : start; }

void Ledger::add(const Record &record) noexcept
try {
	const std::shared_lock guard(tables_->walk);
	Live::accessor place;
	const uint64_t start = record.what == What::region ? record.va : record.iova;
	tables_->live.insert(place, Key{record.what, key_of(record.what, start)});
	// There is one of each that is no mapping: another was given back by another process.
	if (record.what != What::mapping)
		place->second.clear();
	place->second.push_back(record);
} catch (const std::bad_alloc &) {
	tables_->lost.fetch_add(1, std::memory_order_relaxed);
}

std::optional<Record> Ledger::take(What what, uint64_t start, uint64_t len) noexcept
{
	const std::shared_lock guard(tables_->walk);
	Live::accessor place;
	if (!tables_->live.find(place, Key{what, key_of(what, start)}))
		return std::nullopt;
	std::vector<Record> &records = place->second;
	const auto is = [=](const Record &r) { return r.len == len && (what != What::mapping || r.iova == start); };
	auto found = std::find_if(records.begin(), records.end(), is);
	if (found == records.end())
		found = records.end() - 1;
	const Record taken = *found;
	records.erase(found);
	if (records.empty())
		tables_->live.erase(place);
	return taken;
}

void Ledger::end(const Record &record, End how) noexcept
try {
	if (tables_->most_ended == 0)
		return;
	const Ended ended = {record, how, CallSite::here()};
	const std::lock_guard guard(tables_->ended_mutex);
	if (tables_->ended.size() < tables_->most_ended)
		tables_->ended.push_back(ended);
	else
		tables_->ended[tables_->ended_ever % tables_->most_ended] = ended;
	++tables_->ended_ever;
} catch (const std::bad_alloc &) {
	tables_->lost.fetch_add(1, std::memory_order_relaxed);
}

void Ledger::for_each(const std::function<void(const Record &)> &use) const
{
	const std::unique_lock guard(tables_->walk);
	for (const auto &[key, records] : tables_->live) {
		for (const Record &r : records)
			use(r);
	}
}

std::optional<Record> Ledger::find_live(const Is &is) const
{
	std::optional<Record> found;
	for_each([&](const Record &r) {
		if (is(r) && (!found || r.len < found->len))
			found = r;
	});
	return found;
}

std::optional<Ended> Ledger::find_ended(const Is &is) const
{
	const std::lock_guard guard(tables_->ended_mutex);
	const std::vector<Ended> &ring = tables_->ended;
	for (size_t i = 1; i <= ring.size(); ++i) {
		const Ended &e = ring[(tables_->ended_ever - i) % ring.size()];
		if (is(e.record))
			return e;
	}
	return std::nullopt;
}

void Ledger::defer(uint64_t iova, uint32_t number) noexcept
try {
	Deferred::accessor place;
	tables_->deferred.insert(place, iova & ~mask_);
	place->second = number;
} catch (const std::bad_alloc &) {
	tables_->lost.fetch_add(1, std::memory_order_relaxed);
}

void Ledger::settle(uint64_t iova) noexcept { tables_->deferred.erase(iova & ~mask_); }

std::optional<uint32_t> Ledger::deferred(uint64_t iova) const
{
	Deferred::const_accessor place;
	return tables_->deferred.find(place, iova & ~mask_) ? std::optional(place->second) : std::nullopt;
}

Ledger::Sizes Ledger::sizes() const
{
	uint64_t live = 0;
	for_each([&live](const Record &) { ++live; });
	const std::lock_guard guard(tables_->ended_mutex);
	return {live, tables_->ended.size(), tables_->ended_ever - tables_->ended.size(),
		tables_->lost.load(std::memory_order_relaxed)};
}

}  // namespace iovad::eal::debug
