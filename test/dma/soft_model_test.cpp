// SPDX-License-Identifier: BSD-3-Clause
// The software IOMMU against an oracle that knows mappings only, and derives from them
// by the definition what must translate, which pages were to be chosen and how many
// tables those need. IOVAD_TEST_SEED replays a failure.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "random.h"
#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using core::Random;

struct Mapping {
	uint64_t va, len;
	uint32_t dir;
};

class Oracle {
public:
	Oracle(unsigned width, uint64_t page_sizes) : width_(width), page_sizes_(page_sizes) {}

	bool overlaps(uint64_t iova, uint64_t len) const
	{
		for (const auto &[first, m] : all)
			if (first < iova + len && iova < first + m.len)
				return true;
		return false;
	}
	const std::pair<const uint64_t, Mapping> *at(uint64_t iova) const
	{
		auto next = all.upper_bound(iova);
		if (next == all.begin())
			return nullptr;
		const auto &before = *std::prev(next);
		return iova - before.first < before.second.len ? &before : nullptr;
	}
	Translation translate(uint64_t iova, uint64_t len, uint64_t access) const
	{
		uint64_t va = 0;
		for (uint64_t done = 0; done < len;) {
			const uint64_t now = iova + done;
			if (now >> width_ != 0)
				return {nullptr, FaultReason::beyond_aperture};
			const auto *m = at(now);
			if (m == nullptr)
				return {nullptr, done ? FaultReason::crosses : FaultReason::not_present};
			const uint64_t missing = access & ~m->second.dir;
			if (missing != 0)
				return {nullptr, missing & 1 ? FaultReason::no_read : FaultReason::no_write};
			const uint64_t offset = now - m->first;
			if (done == 0)
				va = m->second.va + offset;
			if (m->second.va + offset != va + done)
				return {nullptr, FaultReason::split};
			done += m->second.len - offset;
		}
		return {dma::at(va), FaultReason::none};
	}

	// Leaves by size, and tables, of all mappings, or with one more.
	SoftStats pages(uint64_t iova = 0, const Mapping &more = {}) const
	{
		SoftStats s = {};
		std::set<std::pair<unsigned, uint64_t>> tables = {{top(), 0}};
		for (const auto &[first, m] : all)
			add(first, m, s, tables);
		add(iova, more, s, tables);
		s.tables = tables.size();
		return s;
	}

	std::map<uint64_t, Mapping> all;

private:
	unsigned top() const { return (width_ - 12 + 8) / 9 - 1; }

	void add(uint64_t iova, Mapping m, SoftStats &s, std::set<std::pair<unsigned, uint64_t>> &tables) const
	{
		for (uint64_t under = ~uint64_t{0}; m.len != 0;) {
			unsigned level = 2;
			while ((page_sizes_ >> (12 + 9 * level) & 1) == 0 ||
			       ((iova | m.va) & ((k4K << 9 * level) - 1)) != 0 || m.len < k4K << 9 * level)
				--level;
			++(level == 0 ? s.leaves_4k : level == 1 ? s.leaves_2m : s.leaves_1g);
			// The tables on the way to it, unless they are those of the page before it.
			for (unsigned up = level; up <= top() && (level != 0 || iova / k2M != under); ++up)
				tables.emplace(up, iova >> (12 + 9 * (up + 1)));
			under = level == 0 ? iova / k2M : ~uint64_t{0};
			const uint64_t size = k4K << 9 * level;
			iova += size;
			m.va += size;
			m.len -= size;
		}
	}

	unsigned width_;
	uint64_t page_sizes_;
};

struct Space {
	const char *name;
	unsigned width;
	uint64_t page_sizes;
	uint64_t max_mappings, locked_limit;
	uint64_t end;  // requests begin below it
	int steps;
};

const Space kSpaces[] = {
	{"three levels", 39, k4K | k2M | k1G, 40, k1G / 4, 16 * k1G, 6000},
	{"four levels", 48, k4K | k2M | k1G, 200, Info::kUnlimited, uint64_t{1} << 48, 6000},
	{"five levels", 57, k4K | k2M, 100, 4 * k1G, uint64_t{1} << 57, 4000},
	{"crowded", 36, k4K | k2M | k1G, 500, Info::kUnlimited, 32 * k2M, 8000},
	{"no small pages", 40, k2M | k1G, 100, Info::kUnlimited, 64 * k1G, 4000},
	{"no middle pages", 40, k4K | k1G, 50, Info::kUnlimited, 16 * k1G, 3000},
};

struct Coverage {
	int maps = 0, exists = 0, no_space = 0, locked = 0, no_tables = 0, invalid = 0;
	int unmaps = 0, in_runs = 0, not_found = 0, translated = 0, crossed = 0, reasons[7] = {};
	uint64_t leaves_4k = 0, leaves_2m = 0, leaves_1g = 0;
};

class ModelRun {
public:
	ModelRun(const Space &space, uint64_t seed, Coverage &seen)
		: space_(space), oracle_(space.width, space.page_sizes), random_(seed), seen_(seen)
	{
		SoftConfig config;
		config.address_bits = space.width;
		config.page_sizes = space.page_sizes;
		config.max_mappings = space.max_mappings;
		config.locked_limit = space.locked_limit;
		soft_ = make_soft(config);
		smallest_ = space.page_sizes & -space.page_sizes;
	}

	void step(int i)
	{
		const bool growing = (i / (space_.steps / 6)) % 2 == 0;
		const uint64_t dice = random_.below(100);
		if (dice < (growing ? 40u : 15u))
			map();
		else if (dice < 55)
			unmap();
		else
			translate();
		if (i % 50 == 0)
			check();
	}
	void empty()
	{
		while (!oracle_.all.empty())
			unmap_exactly(oracle_.all.begin()->first, 1);
		check();
		ASSERT_EQ(soft_->stats().tables, 1u);
	}

private:
	// Mostly few pages, sometimes many; now and then whole large pages.
	uint64_t length()
	{
		switch (random_.below(8)) {
		case 0: return k2M * (1 + random_.below(4));
		case 1: return space_.page_sizes & k1G ? k1G * (1 + random_.below(2)) : k2M;
		case 2: return smallest_ * (1 + random_.below(1024));
		default: return smallest_ * (1 + random_.below(8));
		}
	}
	uint64_t address()
	{
		// Near what is there, or anywhere; on borders of large pages, or not.
		uint64_t iova = random_.below(space_.end);
		if (!oracle_.all.empty() && random_.below(3) == 0) {
			const auto it = pick();
			iova = random_.below(2) ? it->first + it->second.len : it->first;
		}
		const uint64_t grains[] = {smallest_, smallest_, k2M, k1G};
		return iova & -grains[random_.below(4)];
	}
	std::map<uint64_t, Mapping>::const_iterator pick()
	{
		const auto it = oracle_.all.lower_bound(random_.below(space_.end));
		return it == oracle_.all.end() ? oracle_.all.begin() : it;
	}

	Status expected(uint64_t iova, const Mapping &m, bool tables)
	{
		const uint64_t last = iova + m.len - 1;
		if (oracle_.overlaps(iova, m.len))
			return Status::exists;
		if (oracle_.all.size() >= space_.max_mappings)
			return Status::no_space;
		if (last >> space_.width != 0 || (iova <= 0xfeefffff && last >= 0xfee00000))
			return Status::invalid;
		uint64_t bytes = m.len;
		for (const auto &[first, other] : oracle_.all)
			bytes += other.len;
		if (bytes > space_.locked_limit) {
			++seen_.locked;
			return Status::no_memory;
		}
		return tables ? Status::ok : Status::no_memory;
	}

	void map()
	{
		const uint64_t iova = address();
		Mapping m{(uint64_t{1} << 46) + random_.below(16) * smallest_, length(),
			  static_cast<uint32_t>(1 + random_.below(3))};
		// Congruent memory often, and often the memory that continues a neighbour's.
		if (random_.below(4))
			m.va = (uint64_t{1} << 46) + (iova & ((uint64_t{1} << 45) - 1)) + random_.below(2) * 64 * k1G;
		else if (m.len > 16 * k2M)
			m.len = 16 * k2M;  // it would take very many small pages
		const bool starved = random_.below(8) == 0;
		bool tables = true;
		if (starved) {
			const uint64_t most = soft_->stats().tables + random_.below(5);
			soft_->limit_tables(most);
			tables = oracle_.pages(iova, m).tables <= most;
		}
		const Status got = soft_->map(iova, at(m.va), m.len, m.dir).status;
		soft_->limit_tables(~uint64_t{0});
		ASSERT_EQ(got, expected(iova, m, tables)) << std::hex << iova << " + " << m.len;
		seen_.maps += got == Status::ok;
		seen_.exists += got == Status::exists;
		seen_.no_space += got == Status::no_space;
		seen_.invalid += got == Status::invalid;
		seen_.no_tables += got == Status::no_memory && !tables;
		if (got == Status::ok)
			oracle_.all.emplace(iova, m);
	}

	void unmap()
	{
		if (oracle_.all.empty())
			return;
		const auto [iova, m] = *pick();
		unmap_what_is_no_run(iova, m.len + smallest_);
		unmap_what_is_no_run(iova + smallest_, m.len);
		if (m.len > smallest_)
			unmap_what_is_no_run(iova, m.len - smallest_);
		unmap_exactly(iova, random_.below(8) ? 1 : 1 + random_.below(8));
	}
	bool is_run(uint64_t iova, uint64_t len) const
	{
		uint64_t done = 0;
		while (done < len && oracle_.all.contains(iova + done))
			done += oracle_.all.at(iova + done).len;
		return done == len;
	}
	void unmap_what_is_no_run(uint64_t iova, uint64_t len)
	{
		if (is_run(iova, len))
			return;
		ASSERT_EQ(soft_->unmap(iova, len).status, Status::not_found);
		++seen_.not_found;
	}
	// That many mappings, or all that are left, with what lies between them.
	void unmap_exactly(uint64_t iova, uint64_t most)
	{
		const auto first = oracle_.all.find(iova);
		auto end = first;
		uint64_t len = 0, mapped = 0;
		for (; end != oracle_.all.end() && most != 0; ++end, --most) {
			len = end->first + end->second.len - iova;
			mapped += end->second.len;
		}
		const uint64_t flushes = soft_->stats().flushes;
		ASSERT_EQ(soft_->unmap(iova, len, mapped).status, Status::ok);
		ASSERT_EQ(soft_->stats().flushes, flushes + 1);
		ASSERT_EQ(soft_->unmap(iova, len).status, Status::not_found);
		seen_.in_runs += std::distance(first, end) > 1 ? std::distance(first, end) : 0;
		oracle_.all.erase(first, end);
		++seen_.unmaps;
	}

	void translate()
	{
		uint64_t iova = address() - 4000 + random_.below(8000);
		if (!oracle_.all.empty() && random_.below(4)) {
			const auto it = pick();
			iova = it->first + random_.below(it->second.len);
			if (random_.below(4) == 0)
				iova = it->first + it->second.len - random_.below(5000);
		}
		const uint64_t len = 1 + random_.below(random_.below(8) ? 2048 : 4 * k2M);
		const uint64_t access = 1 + random_.below(3);
		const Translation want = oracle_.translate(iova, len, access);
		const uint64_t faults = soft_->fault_count();
		const Translation got = soft_->translate(iova, len, static_cast<Access>(access));
		ASSERT_EQ(got.va, want.va) << std::hex << iova << " + " << len;
		ASSERT_EQ(got.reason, want.reason) << std::hex << iova << " + " << len;
		ASSERT_EQ(soft_->fault_count() - faults, got ? 0u : 1u);
		seen_.translated += bool(got);
		seen_.crossed += got && (iova & 4095) + len > 4096;
		++seen_.reasons[static_cast<int>(got.reason)];
	}

	void check()
	{
		ASSERT_TRUE(soft_->verify(stderr));
		const SoftStats want = oracle_.pages(), got = soft_->stats();
		ASSERT_EQ(got.leaves_4k, want.leaves_4k);
		ASSERT_EQ(got.leaves_2m, want.leaves_2m);
		ASSERT_EQ(got.leaves_1g, want.leaves_1g);
		ASSERT_EQ(got.tables, want.tables);
		Info info;
		ASSERT_TRUE(soft_->info(info).ok());
		ASSERT_EQ(info.mappings_left, space_.max_mappings - oracle_.all.size());
		seen_.leaves_4k += want.leaves_4k;
		seen_.leaves_2m += want.leaves_2m;
		seen_.leaves_1g += want.leaves_1g;
	}

	const Space &space_;
	std::unique_ptr<SoftIommu> soft_;
	Oracle oracle_;
	Random random_;
	Coverage &seen_;
	uint64_t smallest_;
};

TEST(SoftModelTest, EveryResultEqualsTheOracles)
{
	const char *given = std::getenv("IOVAD_TEST_SEED");
	const uint64_t start = given ? std::strtoull(given, nullptr, 0) : 20261121;
	Coverage seen;
	for (const Space &space : kSpaces) {
		for (uint64_t seed = start; seed < start + 2; ++seed) {
			SCOPED_TRACE(testing::Message() << "space " << space.name << ", IOVAD_TEST_SEED=" << seed);
			ModelRun run(space, seed, seen);
			for (int i = 0; i < space.steps; ++i) {
				run.step(i);
				ASSERT_FALSE(HasFatalFailure()) << "at step " << i;
			}
			run.empty();
			ASSERT_FALSE(HasFatalFailure());
		}
	}
	// A path that random steps never took would be untested.
	EXPECT_GT(seen.maps, 1000);
	EXPECT_GT(seen.exists, 500);
	EXPECT_GT(seen.no_space, 20);
	EXPECT_GT(seen.locked, 10);
	EXPECT_GT(seen.no_tables, 50);
	EXPECT_GT(seen.invalid, 2);
	EXPECT_GT(seen.unmaps, 1000);
	EXPECT_GT(seen.in_runs, 500);
	EXPECT_GT(seen.not_found, 1000);
	EXPECT_GT(seen.translated, 1000);
	EXPECT_GT(seen.crossed, 1000);
	for (int reason = 0; reason < 7; ++reason)
		EXPECT_GT(seen.reasons[reason], 10) << fault_reason_name(static_cast<FaultReason>(reason));
	EXPECT_GT(seen.leaves_4k, 1000u);
	EXPECT_GT(seen.leaves_2m, 1000u);
	EXPECT_GT(seen.leaves_1g, 100u);
}

}  // namespace
}  // namespace iovad::dma
