// SPDX-License-Identifier: BSD-3-Clause
// Debug mode: each kind of misuse, through the API, by its count and by what is said of it; and
// what is right, of which nothing is said.
#include <cerrno>
#include <memory>
#include <thread>

#include <sys/mman.h>

#include "debug_calls.h"
#include "debug_fixture.h"
#include "iovad/iovad_control.h"

namespace iovad::test {
namespace {

// Memory of its own.
class Memory {
public:
	explicit Memory(size_t bytes) : bytes_(bytes)
	{
		va_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
	~Memory() { munmap(va_, bytes_); }
	Memory(const Memory &) = delete;
	Memory &operator=(const Memory &) = delete;
	operator void *() const { return va_; }
	void *at(size_t offset) const { return static_cast<char *>(va_) + offset; }

private:
	const size_t bytes_;
	void *va_;
};

class Debug : public testing::Test {
protected:
	rte_iova_t take(uint64_t len)
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, test_takes(d, len, &iova));
		return iova;
	}
	rte_iova_t map(void *va, uint64_t len)
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, test_maps(d, va, len, &iova));
		return iova;
	}

	TestDomain d{debug_conf()};
	Memory memory{16 * kPage};
};

class LazyDebug : public Debug {
protected:
	LazyDebug() { iovad_control_poll(); }

	TestDomain lazy{debug_conf(IOVAD_BACKEND_SOFT, IOVAD_UNMAP_LAZY)};
};

TEST_F(Debug, ADoubleFreeSaysWhoHadItAndWhoFreedIt)
{
	const rte_iova_t iova = take(4 * kPage);
	ASSERT_EQ(0, test_gives_back(d, iova, 4 * kPage));
	Expected finding(d.name(), "double_free");
	EXPECT_EQ(-ENOENT, iovad_free(d, iova, 4 * kPage));
	finding.check({hex(iova) + ", 16384 bytes", "expected a live range", "found in a call by lcore", "allocated: " + hex(iova),
		       "test_takes+0x", " in debug_test", "freed by lcore", "test_gives_back+0x"});
}

TEST_F(Debug, AFreeOfWhatWasNeverAllocated)
{
	Expected finding(d.name(), "never_allocated");
	EXPECT_EQ(-ENOENT, test_gives_back(d, 32 * kPage, kPage));
	finding.check({hex(32 * kPage) + ", 4096 bytes", "expected a live range; it is free", "test_gives_back+0x", "nothing more is known"});
}

TEST_F(Debug, AFreeOfWhatIsReserved)
{
	ASSERT_EQ(0, iovad_reserve(d, 32 * kPage, kPage));
	Expected finding(d.name(), "never_allocated");
	EXPECT_EQ(-ENOENT, iovad_free(d, 32 * kPage, kPage));
	finding.check({"expected a live range; it is reserved"});
	EXPECT_EQ(0, iovad_unreserve(d, 32 * kPage, kPage));
}

TEST_F(Debug, AFreeOutsideTheDomain)
{
	Expected finding(d.name(), "never_allocated");
	EXPECT_EQ(-EINVAL, iovad_free(d, uint64_t{1} << 40, kPage));
	finding.check({"0x10000000000, 4096 bytes"});
}

TEST_F(Debug, AWrongLength)
{
	const rte_iova_t iova = take(4 * kPage);
	{
		Expected finding(d.name(), "wrong_length");
		EXPECT_EQ(-ENOENT, iovad_free(d, iova, 2 * kPage));
		finding.check({hex(iova) + ", 8192 bytes", "expected " + hex(iova) + ", 16384 bytes", "allocated: ", "test_takes+0x"});
	}
	{
		Expected inside(d.name(), "wrong_length");
		EXPECT_EQ(-ENOENT, iovad_free(d, iova + kPage, kPage));
		inside.check({hex(iova + kPage) + ", 4096 bytes", "expected " + hex(iova) + ", 16384 bytes", "test_takes+0x"});
	}
	{
		Expected rounded(d.name(), "wrong_length");  // three pages occupy four
		EXPECT_EQ(0, iovad_free(d, iova, 3 * kPage));
		rounded.check({hex(iova) + ", 12288 bytes", "expected 16384 bytes", "test_takes+0x"});
	}
}

TEST_F(Debug, ExactRangesToo)
{
	const rte_iova_t iova = d.alloc_range(3 * kPage, kPage, kNoLimit);
	{
		Expected finding(d.name(), "wrong_length");
		EXPECT_EQ(-ENOENT, iovad_free_range(d, iova, kPage));
		finding.check({"expected " + hex(iova) + ", 12288 bytes"});
	}
	EXPECT_EQ(0, iovad_free_range(d, iova, 3 * kPage));
	Expected finding(d.name(), "double_free");
	EXPECT_EQ(-ENOENT, iovad_free_range(d, iova, 3 * kPage));
	finding.check({hex(iova), "allocated: ", "freed by"});
}

TEST_F(Debug, ABulkFreeSaysWhichOfThem)
{
	rte_iova_t iovas[4];
	ASSERT_EQ(0, iovad_alloc_bulk(d, kPage, kNoLimit, iovas, 4));
	ASSERT_EQ(0, iovad_free(d, iovas[2], kPage));
	{
		Expected finding(d.name(), "double_free");
		EXPECT_EQ(-ENOENT, iovad_free_bulk(d, iovas, kPage, 4));
		finding.check({hex(iovas[2]) + ", 4096 bytes"});
	}
	EXPECT_EQ(0u, stats_of(d).live_ranges);
	// None is freed where one cannot be an address.
	ASSERT_EQ(0, iovad_alloc_bulk(d, kPage, kNoLimit, iovas, 2));
	const rte_iova_t bad[] = {iovas[0], iovas[1] + 1};
	{
		Expected finding(d.name(), "wrong_length");
		EXPECT_EQ(-EINVAL, iovad_free_bulk(d, bad, kPage, 2));
		finding.check({hex(bad[1])});
	}
	EXPECT_EQ(2u, stats_of(d).live_ranges);
	EXPECT_EQ(0, iovad_free_bulk(d, iovas, kPage, 2));
}

TEST_F(Debug, AFreeOfWhatIsMapped)
{
	const rte_iova_t iova = map(memory, kPage);
	{
		Expected finding(d.name(), "free_of_mapped");
		EXPECT_EQ(-EBUSY, test_gives_back(d, iova, kPage));
		finding.check({hex(iova) + ", 4096 bytes", "expected iovad_unmap()", "test_gives_back+0x", "mapped: " + hex(iova), "test_maps+0x"});
	}
	EXPECT_EQ(0, iovad_unmap(d, iova, kPage));
}

TEST_F(Debug, ADoubleUnmapSaysWhoMappedAndWhoUnmapped)
{
	const rte_iova_t iova = map(memory.at(100), 200);
	ASSERT_EQ(0, test_unmaps(d, iova, 200));
	Expected finding(d.name(), "double_unmap");
	EXPECT_EQ(-ENOENT, test_unmaps_again(d, iova, 200));
	finding.check({hex(iova) + ", 200 bytes", "test_unmaps_again+0x", "mapped: " + hex(iova) + ", 200 bytes -> " +
		       hex(reinterpret_cast<uint64_t>(memory.at(100))) + ", rw by", "test_maps+0x", "unmapped by", "test_unmaps+0x"});
}

TEST_F(LazyDebug, ALazyDoubleUnmapIsFoundAtOnce)
{
	rte_iova_t iova = 0;
	ASSERT_EQ(0, test_maps(lazy, memory, kPage, &iova));
	ASSERT_EQ(0, test_unmaps(lazy, iova, kPage));
	{
		Expected finding(lazy.name(), "double_unmap");
		EXPECT_EQ(-ENOENT, test_unmaps_again(lazy, iova, kPage));
		finding.check({hex(iova), "test_unmaps_again+0x", "test_maps+0x", "unmapped lazily by", "test_unmaps+0x"});
	}
	EXPECT_EQ(0, iovad_flush(lazy));
	Expected later(lazy.name(), "double_unmap");
	EXPECT_EQ(-ENOENT, test_unmaps_again(lazy, iova, kPage));
	later.check({hex(iova), "unmapped lazily by", "test_unmaps+0x"});
}

TEST_F(Debug, AnUnmapOfWhatWasNeverMapped)
{
	{
		Expected finding(d.name(), "never_mapped");
		EXPECT_EQ(-ENOENT, test_unmaps(d, 64 * kPage, kPage));
		finding.check({hex(64 * kPage) + ", 4096 bytes", "expected what iovad_map() gave", "test_unmaps+0x", "nothing more is known"});
	}
	const rte_iova_t iova = take(kPage);
	{
		Expected finding(d.name(), "never_mapped");
		EXPECT_EQ(-ENOENT, test_unmaps(d, iova, kPage));
		finding.check({"allocated: " + hex(iova), "test_takes+0x"});
	}
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
}

TEST_F(Debug, AnUnmapOfAnotherLength)
{
	const rte_iova_t iova = map(memory, 3 * kPage);
	{
		Expected finding(d.name(), "wrong_length");
		EXPECT_EQ(-ENOENT, iovad_unmap(d, iova, kPage));
		finding.check({hex(iova) + ", 4096 bytes", "expected " + hex(iova) + ", 12288 bytes", "mapped: ", "test_maps+0x"});
	}
	// The same pages, so that it is unmapped.
	Expected finding(d.name(), "wrong_length");
	EXPECT_EQ(0, iovad_unmap(d, iova, 3 * kPage - 1));
	finding.check({hex(iova) + ", 12287 bytes", "expected " + hex(iova) + ", 12288 bytes", "test_maps+0x"});
}

TEST_F(Debug, AMapWhoseErrorNobodyLookedAt)
{
	rte_iova_t iova = 4711;
	ASSERT_EQ(-EINVAL, iovad_map(d, memory, 0, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	ASSERT_EQ(RTE_BAD_IOVA, iova);
	{
		Expected finding(d.name(), "unchecked_map");
		EXPECT_NE(0, test_unmaps(d, iova, kPage));
		finding.check({"0xffffffffffffffff, 4096 bytes", "iovad_unmap()", "test_unmaps+0x"});
	}
	{
		Expected finding(d.name(), "unchecked_map");
		EXPECT_EQ(nullptr, iovad_iova2va(d, iova, 1));
		finding.check({"0xffffffffffffffff, 1 bytes", "iovad_iova2va()"});
	}
	iova = 4711;
	ASSERT_EQ(-EINVAL, iovad_region_add(d, memory, 0, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ(RTE_BAD_IOVA, iova);
	// Without debug mode it is left as it was.
	iovad_domain_conf conf = debug_conf();
	conf.flags = 0;
	const TestDomain other(conf);
	iova = 4711;
	ASSERT_EQ(-EINVAL, iovad_map(other, memory, 0, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ(4711u, iova);
}

TEST_F(Debug, RegionsThatAreRemovedTwiceOrByAnotherLength)
{
	rte_iova_t iova;
	{
		Expected finding(d.name(), "never_mapped");
		EXPECT_EQ(-ENOENT, iovad_region_remove(d, memory, kPage));
		finding.check({hex(reinterpret_cast<uint64_t>(memory.at(0))), "memory of iovad_region_add()"});
	}
	ASSERT_EQ(0, iovad_region_add(d, memory, 4 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	{
		Expected finding(d.name(), "wrong_length");
		EXPECT_EQ(-ENOENT, iovad_region_remove(d, memory, kPage));
		finding.check({"expected 16384 bytes", "added as a region: " + hex(iova)});
	}
	ASSERT_EQ(0, iovad_region_remove(d, memory, 4 * kPage));
	Expected finding(d.name(), "double_unmap");
	EXPECT_EQ(-ENOENT, iovad_region_remove(d, memory, 4 * kPage));
	finding.check({"added as a region: " + hex(iova), "removed by"});
}

// Slots of one granule, and longer ones.
TEST(DebugLeaks, DestroyNamesWhoHoldsWhat)
{
	Memory memory(kPage);
	iovad_domain_conf conf = debug_conf();
	conf.name = "leaky";
	iovad_domain *d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d);
	rte_iova_t iova, mapped;
	ASSERT_EQ(0, test_takes(d, kPage, &iova));
	{
		Expected finding("leaky", "leak");
		EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
		finding.check({hex(iova) + ", 4096 bytes", "expected nothing to be live", "allocated: ", "test_takes+0x"});
	}
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
	ASSERT_EQ(0, test_maps(d, memory, kPage, &mapped));
	{
		Expected finding("leaky", "leak");
		EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
		finding.check({hex(mapped) + ", 4096 bytes", "mapped: ", "test_maps+0x"});
	}
	EXPECT_EQ(0, iovad_unmap(d, mapped, kPage));
	rte_iova_t many[20];
	ASSERT_EQ(0, iovad_alloc_bulk(d, kPage, kNoLimit, many, 20));
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
	EXPECT_EQ(22u, number_of(findings_of("leaky"), "leak"));
	EXPECT_EQ(0, iovad_free_bulk(d, many, kPage, 20));
	EXPECT_EQ(0, iovad_domain_destroy(d));
}

TEST_F(Debug, MemoryThatIsGivenBackWhileItIsMapped)
{
	auto gone = std::make_unique<Memory>(4 * kPage);
	const std::string va = hex(reinterpret_cast<uint64_t>(gone->at(0)));
	const rte_iova_t iova = map(*gone, 4 * kPage);
	EXPECT_EQ(0, iovad_verify(d, stderr));
	EXPECT_EQ(0u, sum_of_findings(d.name()));
	gone.reset();
	{
		Expected finding(d.name(), "given_back");
		EXPECT_EQ(0, iovad_verify(d, stderr));
		finding.check({hex(iova) + ", 16384 bytes", "expected memory at " + va, "mapped: ", "test_maps+0x"});
	}
	Expected finding(d.name(), "given_back");
	EXPECT_EQ(0, test_unmaps(d, iova, 4 * kPage));
	finding.check({hex(iova) + ", 16384 bytes", "test_unmaps+0x", "test_maps+0x"});
}

TEST_F(LazyDebug, WhatIsRightIsNoFinding)
{
	for (iovad_domain *domain : {static_cast<iovad_domain *>(d), static_cast<iovad_domain *>(lazy)}) {
		iovad_control_poll();
		rte_iova_t region, iovas[4], a, b;
		ASSERT_EQ(0, iovad_region_add(domain, memory, 8 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &region));
		for (unsigned round = 0; round < 50; ++round) {
			// In the region, again and again while it is deferred; twice at once; and outside.
			for (const size_t offset : {size_t{0}, size_t{100}, 9 * kPage}) {
				ASSERT_EQ(0, iovad_map(domain, memory.at(offset), 300, kNoLimit, IOVAD_TO_DEVICE, &a));
				ASSERT_EQ(0, iovad_map(domain, memory.at(offset), 300, kNoLimit, IOVAD_TO_DEVICE, &b));
				EXPECT_EQ(memory.at(offset), iovad_iova2va(domain, a, 300));
				ASSERT_EQ(0, iovad_unmap(domain, b, 300));
				ASSERT_EQ(0, iovad_unmap(domain, a, 300));
			}
			ASSERT_EQ(0, iovad_alloc_bulk(domain, 3 * kPage, kNoLimit, iovas, 4));
			ASSERT_EQ(0, iovad_free_bulk(domain, iovas, 3 * kPage, 4));
			ASSERT_EQ(0, iovad_flush(domain));
		}
		ASSERT_EQ(0, iovad_region_remove(domain, memory, 8 * kPage));
	}
	EXPECT_EQ(0u, sum_of_findings(d.name()));
	EXPECT_EQ(0u, sum_of_findings(lazy.name()));
	EXPECT_EQ(0u, number_of(findings_of(lazy.name()), "live"));
}

TEST_F(Debug, ManyAreCountedAndFewLogged)
{
	Log log;
	for (unsigned i = 0; i < 20; ++i)
		EXPECT_EQ(-ENOENT, iovad_free(d, 32 * kPage, kPage));
	EXPECT_EQ(20u, number_of(findings_of(d.name()), "never_allocated"));
	const std::string text = log.text();
	unsigned lines = 0;
	for (size_t at = 0; (at = text.find("never allocated: ", at)) != std::string::npos; ++at)
		++lines;
	EXPECT_EQ(5u, lines) << text;
}

TEST_F(Debug, TelemetryHasTheLatestAndWhatTheLedgerHolds)
{
	const rte_iova_t iova = take(kPage);
	std::string answer = findings_of(d.name());
	EXPECT_EQ(1u, number_of(answer, "on"));
	EXPECT_EQ(0u, number_of(answer, "fatal"));
	EXPECT_EQ(1u, number_of(answer, "live"));
	EXPECT_EQ(0u, number_of(answer, "ended"));
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
	Log log;
	EXPECT_EQ(-ENOENT, iovad_free(d, iova, kPage));
	answer = findings_of(d.name());
	EXPECT_EQ(0u, number_of(answer, "live"));
	EXPECT_EQ(1u, number_of(answer, "ended"));
	EXPECT_NE(std::string::npos, answer.find("double free: " + hex(iova))) << answer;
	EXPECT_NE(std::string::npos, answer.find("test_takes+0x")) << answer;
	// A domain without it says so.
	iovad_domain_conf conf = debug_conf();
	conf.flags = 0;
	const TestDomain other(conf);
	EXPECT_EQ("{\"on\":0}", findings_of(other.name()));
}

TEST_F(Debug, TheHistoryIsBounded)
{
	for (unsigned i = 0; i < 5000; ++i)
		EXPECT_EQ(0, iovad_free(d, take(kPage), kPage));
	const std::string answer = findings_of(d.name());
	EXPECT_EQ(4096u, number_of(answer, "ended"));
	EXPECT_EQ(904u, number_of(answer, "forgotten"));
}

TEST_F(Debug, WhatWasUnmappedIsNotSomebodyElsesSoon)
{
	const rte_iova_t first = map(memory, kPage);
	ASSERT_EQ(0, iovad_unmap(d, first, kPage));
	for (unsigned i = 0; i < 1000; ++i) {
		const rte_iova_t iova = map(memory, kPage);
		EXPECT_NE(first, iova);
		EXPECT_EQ(nullptr, iovad_iova2va(d, first, 1));
		ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	}
	const std::string answer = TelemetryClient().ask(std::string("/iovad/whatis,") + d.name() + "," + hex(first));
	EXPECT_EQ("\"held_back\"", value_of(answer, "state")) << answer;
	EXPECT_EQ(0u, stats_of(d).live_ranges);
}

TEST(DebugQuarantine, IsGivenUpBeforeARequestIsRefused)
{
	iovad_domain_conf conf = conf_of_pages(64, IOVAD_DOMAIN_F_DEBUG);
	const TestDomain d(conf);
	for (unsigned round = 0; round < 3; ++round) {
		const std::vector<rte_iova_t> all = d.alloc_until(ENOSPC, kPage);
		EXPECT_EQ(64u, all.size());
		d.free_all(all, kPage);
		EXPECT_EQ(64 * kPage, stats_of(d).free_bytes);
		EXPECT_EQ(0, iovad_verify(d, stderr));
	}
	EXPECT_EQ(0, iovad_reserve(d, kPage, 64 * kPage));
	EXPECT_EQ(0, iovad_unreserve(d, kPage, 64 * kPage));
}

}  // namespace
}  // namespace iovad::test
