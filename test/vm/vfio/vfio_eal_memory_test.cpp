// SPDX-License-Identifier: BSD-3-Clause
// EAL and a domain map in one container: what EAL maps comes and goes, and neither gets
// into the other's way. EAL takes a map that met ours for a success, so what EAL says
// proves nothing: the kernel's events do.
#include <atomic>
#include <random>
#include <thread>

#include <rte_dev.h>
#include <rte_malloc.h>

#include "iovad/iovad_ethdev.h"
#include "machine.h"

namespace iovad::test {
namespace {

class BesideEal : public WithVfio {
protected:
	// All of EAL's memory, as devices would find it.
	static void expect_eal_reachable()
	{
		trace->catch_up();
		const auto each = [](const rte_memseg_list *list, const rte_memseg *s, void *) {
			if (!list->external) {
				EXPECT_EQ("", trace->reaches(s->iova, s->addr, kPage));
				EXPECT_EQ("", trace->reaches(s->iova + s->len - kPage, static_cast<char *>(s->addr) + s->len - kPage,
							     kPage));
			}
			return 0;
		};
		rte_memseg_walk(each, nullptr);
	}
	static std::vector<rte_iova_t> pages_from(uint64_t iova, unsigned n)
	{
		std::vector<rte_iova_t> out(n);
		for (unsigned i = 0; i < n; ++i)
			out[i] = iova + i * k2MiB;
		return out;
	}
};

// Memory of a heap with addresses that the application chose.
class ExternalHeap {
public:
	ExternalHeap(const Buffer &memory, std::vector<rte_iova_t> iovas, const char *name = "external")
		: name_(name), memory_(memory)
	{
		EXPECT_EQ(0, rte_malloc_heap_create(name_));
		EXPECT_EQ(0, rte_malloc_heap_memory_add(name_, memory_.at(), memory_.len(), iovas.data(),
							static_cast<unsigned>(iovas.size()), k2MiB));
	}
	~ExternalHeap()
	{
		EXPECT_EQ(0, rte_malloc_heap_memory_remove(name_, memory_.at(), memory_.len()));
		EXPECT_EQ(0, rte_malloc_heap_destroy(name_));
	}
	ExternalHeap(const ExternalHeap &) = delete;
	ExternalHeap &operator=(const ExternalHeap &) = delete;

private:
	const char *name_;
	const Buffer &memory_;
};

// Two threads map and unmap; EAL takes huge pages and gives them back.
TEST_F(BesideEal, MemoryComesAndGoesWhileThreadsMap)
{
	constexpr unsigned kRounds = 15, kThreads = 2;
	constexpr uint64_t kMapsPerRound = 400;  // of each thread: the events want to be read
	const uint64_t left = info().mappings_left;
	{
		TestDomain d(conf());
		const Buffer memory(2 * kMiB), huge(2 * k2MiB, true);
		std::atomic<uint64_t> allowed = 0, failures = 0, in_eal = 0;
		std::vector<std::thread> threads;
		for (unsigned t = 0; t < kThreads; ++t) {
			threads.emplace_back([&, t] {
				std::mt19937 random(t);
				for (uint64_t n = 0; n < kRounds * kMapsPerRound; ++n) {
					while (n >= allowed)
						std::this_thread::yield();
					const bool large = random() % 8 == 0;
					const uint64_t offset = large ? t * k2MiB : t * kMiB + random() % 200 * kPage;
					const uint64_t len = large ? k2MiB : (1 + random() % 16) * kPage;
					void *va = large ? huge.at(offset) : memory.at(offset);
					rte_iova_t iova = 0;
					if (iovad_map(d, va, len, random() % 2 ? kLimit32 : kNoLimit, IOVAD_BIDIRECTIONAL, &iova)) {
						++failures;
						continue;
					}
					if (mode_va() && rte_mem_virt2memseg_list(reinterpret_cast<void *>(iova)))
						++in_eal;
					failures += iovad_iova2va(d, iova, len) != va;
					failures += iovad_unmap(d, iova, len) != 0;
				}
			});
		}
		for (unsigned round = 0; round < kRounds; ++round) {
			void *blocks[3];
			allowed += kMapsPerRound;
			for (unsigned i = 0; i < 3; ++i)
				blocks[i] = rte_malloc(nullptr, (1 + (round + i) % 3) * k2MiB, 0);
			for (void *block : blocks) {
				ASSERT_NE(nullptr, block);
				*static_cast<char *>(block) = 1;
				EXPECT_EQ("", reaches(rte_malloc_virt2iova(block), block, 1));
			}
			if (round % 8 == 0)
				expect_eal_reachable();
			for (void *block : blocks)
				rte_free(block);
		}
		for (std::thread &thread : threads)
			thread.join();
		EXPECT_EQ(0u, failures);
		EXPECT_EQ(0u, in_eal);
		expect_eal_reachable();
		EXPECT_EQ(0u, stats_of(d).live_ranges);
	}
	EXPECT_EQ(left, info().mappings_left);
}

TEST_F(BesideEal, AddressesOfExternalHeapsAreReservedWhileTheyAreThere)
{
	const Buffer memory(2 * k2MiB, true);
	{
		const ExternalHeap heap(memory, pages_from(kLow, 2));
		TestDomain late(conf());
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(late, kLow)) << "a domain that comes later sees it too";
	}
	TestDomain d(conf());
	const State before = state_of(d);
	{
		const ExternalHeap heap(memory, pages_from(kLow, 2));
		EXPECT_EQ("", reaches(kLow, memory.at(), memory.len()));
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow));
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow + 2 * k2MiB - 1));
		EXPECT_EQ(0u, state_at(d, kLow + 2 * k2MiB));
		EXPECT_EQ(before.reserved_bytes + 2 * k2MiB, state_of(d).reserved_bytes);
		const rte_iova_t below = d.alloc_range(kPage, kPage, kLow + 2 * k2MiB - 1);
		EXPECT_EQ(kLow - kPage, below);
		EXPECT_EQ(0, iovad_free_range(d, below, kPage));
		EXPECT_EQ(0, iovad_domain_refresh(d));
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow));
	}
	EXPECT_EQ(before, state_of(d));
	trace->catch_up();
	EXPECT_FALSE(trace->maps_any(kLow, 2 * k2MiB));
}

// As the log of a conflict advises.
TEST_F(BesideEal, WhatTheApplicationReservedItselfStaysReserved)
{
	const Buffer memory(2 * k2MiB, true);
	TestDomain d(conf());
	ASSERT_EQ(0, iovad_reserve(d, kLow + k2MiB, 2 * k2MiB));
	const State before = state_of(d);
	{
		const ExternalHeap heap(memory, pages_from(kLow, 2));
		EXPECT_EQ(before.reserved_bytes + k2MiB, state_of(d).reserved_bytes);
	}
	EXPECT_EQ(before, state_of(d));
	EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow + k2MiB));
	EXPECT_EQ(0, iovad_unreserve(d, kLow + k2MiB, 2 * k2MiB));
}

// testpmd --mp-alloc=xmem: external memory at its physical address, which is RAM's.
TEST_F(BesideEal, RamStaysReservedWhenExternalMemoryInItGoes)
{
	if (mode_va())
		GTEST_SKIP() << "only with --iova-mode=pa";
	const Buffer memory(2 * k2MiB, true);
	TestDomain d(conf());
	const State before = state_of(d);
	const rte_iova_t at = rte_mem_virt2phy(memory.at());
	ASSERT_EQ(IOVAD_RANGE_RESERVED, state_at(d, at));
	{
		const ExternalHeap heap(memory, {at, rte_mem_virt2phy(memory.at(k2MiB))});
	}
	EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, at)) << "EAL's next page may be this one";
	EXPECT_EQ(before, state_of(d));
}

TEST_F(BesideEal, TwoMemoriesMayShareAGranule)
{
	const Buffer first(k2MiB, true), second(k2MiB, true);
	iovad_domain_conf c = conf();
	c.granule = 2 * k2MiB;
	TestDomain d(c);
	const State before = state_of(d);
	{
		const ExternalHeap stays(first, pages_from(kLow, 1), "stays");
		{
			const ExternalHeap goes(second, pages_from(kLow + k2MiB, 1), "goes");
		}
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow));
	}
	EXPECT_EQ(before, state_of(d));
}

TEST_F(BesideEal, ExternalMemoryWhereADomainHasAddressesIsReported)
{
	const Buffer memory(2 * k2MiB, true);
	TestDomain d(conf());
	const State before = state_of(d);
	const rte_iova_t live = d.alloc_range(kPage, kPage, kLow + k2MiB - 1);
	ASSERT_EQ(kLow + k2MiB - kPage, live);
	{
		LogLines log;
		const ExternalHeap heap(memory, pages_from(kLow, 2));
		EXPECT_TRUE(log.says("where this domain has addresses in use"));
		EXPECT_TRUE(log.says("reserve this range first"));
		// What is not in use there will not come into use.
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow));
		EXPECT_EQ(IOVAD_RANGE_LIVE, state_at(d, live));
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow + k2MiB));
		EXPECT_EQ(-EEXIST, iovad_domain_refresh(d));
	}
	EXPECT_EQ(IOVAD_RANGE_LIVE, state_at(d, live));
	EXPECT_EQ(0, iovad_domain_refresh(d));
	EXPECT_EQ(0, iovad_free_range(d, live, kPage));
	EXPECT_EQ(before, state_of(d));
}

// EAL takes the kernel's refusal for success, and ends our mapping together with what it
// believes to be its own.
TEST_F(BesideEal, ExternalMemoryOverAMappingIsReportedAndLeavesNothingBehind)
{
	const Buffer memory(2 * k2MiB, true), mine(kPage);
	TestDomain d(conf());
	const State before = state_of(d);
	rte_iova_t iova = 0;
	ASSERT_EQ(0, iovad_map(d, mine.at(), kPage, kLow + k2MiB - 1, IOVAD_BIDIRECTIONAL, &iova));
	const rte_iova_t page = iova & ~(k2MiB - 1);
	{
		LogLines log;
		const ExternalHeap heap(memory, pages_from(page, 2));
		EXPECT_TRUE(log.says("where this domain has addresses in use"));
		EXPECT_EQ("", reaches(iova, mine.at(), kPage)) << "ours was there first";
		EXPECT_EQ("", reaches(page + k2MiB, memory.at(k2MiB), k2MiB));
	}
	EXPECT_EQ(0, iovad_unmap(d, iova, kPage));
	trace->catch_up();
	EXPECT_FALSE(trace->maps_any(page, 2 * k2MiB));
	EXPECT_EQ(0, iovad_domain_refresh(d));
	EXPECT_EQ(0u, stats_of(d).quarantined_bytes);
	EXPECT_EQ(before, state_of(d));
}

// IOVAD_TEST_BLIND: /proc/iomem says nothing, so EAL's pages are reserved one by one.
TEST_F(BesideEal, PagesOfEalAreReservedAsLongAsTheyAreMapped)
{
	const bool blind = std::getenv("IOVAD_TEST_BLIND") && !mode_va();
	LogLines log;
	TestDomain d(conf());
	EXPECT_EQ(blind, log.text().find("/proc/iomem does not tell where RAM is") != std::string::npos);
	const State before = state_of(d);
	std::vector<void *> blocks;
	std::vector<rte_iova_t> iovas;
	for (unsigned i = 0; i < 4; ++i) {
		blocks.push_back(rte_malloc(nullptr, 3 * kMiB, 0));
		ASSERT_NE(nullptr, blocks.back());
		for (uint64_t at = 0; at < 3 * kMiB; at += kMiB) {
			const char *memory = static_cast<char *>(blocks.back()) + at;
			const rte_memseg *s = rte_mem_virt2memseg(memory, nullptr);
			ASSERT_NE(nullptr, s);
			iovas.push_back(s->iova + static_cast<uint64_t>(memory - static_cast<char *>(s->addr)));
		}
	}
	// In another order than they came.
	for (const unsigned i : {1u, 3u, 0u, 2u}) {
		trace->catch_up();
		for (const rte_iova_t iova : iovas)
			EXPECT_EQ(!blind || trace->maps_any(iova, 1), state_at(d, iova) == IOVAD_RANGE_RESERVED) << std::hex << iova;
		rte_free(blocks[i]);
	}
	trace->catch_up();
	for (const rte_iova_t iova : iovas)
		EXPECT_EQ(!blind || trace->maps_any(iova, 1), state_at(d, iova) == IOVAD_RANGE_RESERVED) << std::hex << iova;
	EXPECT_EQ(before, state_of(d));
}

TEST_F(BesideEal, RegisteredMemoryIsFoundByRefresh)
{
	const Buffer memory(2 * k2MiB, true);
	TestDomain d(conf());
	const State before = state_of(d);
	std::vector<rte_iova_t> iovas = pages_from(kLow, 2);
	rte_dev_iterator iterator;
	rte_device *device = nullptr, *each;
	RTE_DEV_FOREACH(each, "bus=pci", &iterator) {
		if (rte_dev_is_probed(each))
			device = each;
	}
	ASSERT_NE(nullptr, device);
	ASSERT_EQ(0, rte_extmem_register(memory.at(), memory.len(), iovas.data(), 2, k2MiB));
	EXPECT_EQ(0, iovad_domain_refresh(d));
	ASSERT_EQ(0, rte_dev_dma_map(device, memory.at(), kLow, memory.len()));
	EXPECT_EQ("", reaches(kLow, memory.at(), memory.len()));
	EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow));
	EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, kLow + 2 * k2MiB - 1));
	const rte_iova_t below = d.alloc_range(kPage, kPage, kLow + 2 * k2MiB - 1);
	EXPECT_EQ(kLow - kPage, below);
	EXPECT_EQ(0, iovad_free_range(d, below, kPage));
	EXPECT_EQ(0, rte_dev_dma_unmap(device, memory.at(), kLow, memory.len()));
	EXPECT_EQ(0, rte_extmem_unregister(memory.at(), memory.len()));
	EXPECT_EQ(0, iovad_domain_refresh(d));
	EXPECT_EQ(before, state_of(d));
}

TEST_F(BesideEal, AHeapInTheDomainIsMappedByEalWhereTheDomainSays)
{
	TestDomain d(conf());
	const uint64_t left = info().mappings_left;
	ASSERT_EQ(0, iovad_heap_create(d, "low", 2 * k2MiB, 0, kLimit32));
	const int socket = rte_malloc_heap_get_socket("low");
	void *block = rte_malloc_socket(nullptr, kMiB, 0, socket);
	ASSERT_NE(nullptr, block);
	const rte_iova_t iova = rte_malloc_virt2iova(block);
	EXPECT_LE(iova + kMiB - 1, kLimit32);
	EXPECT_EQ(iova, iovad_va2iova(d, block, kMiB));
	EXPECT_EQ("", reaches(iova, block, kMiB));
	EXPECT_EQ(0, iovad_domain_refresh(d));
	EXPECT_EQ(-EBUSY, iovad_heap_destroy(d, "low"));
	rte_free(block);
	EXPECT_EQ(0, iovad_heap_destroy(d, "low"));
	trace->catch_up();
	EXPECT_FALSE(trace->maps_any(iova, kMiB));
	EXPECT_EQ(left, info().mappings_left);
}

}  // namespace
}  // namespace iovad::test
