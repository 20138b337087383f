// SPDX-License-Identifier: BSD-3-Clause
// iovad_dma.h over the software IOMMU: what each function gives, and each errno it can have
// there. Failures of the backend: test/dma.
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <unistd.h>

#include "../captured_log.h"
#include "../crew.h"
#include "../test_domain.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

constexpr uint64_t k2MiB = uint64_t{1} << 21, kVaEnd = uint64_t{1} << 48;

iovad_domain_conf soft_conf(uint64_t first = 0, uint64_t last = 0, uint32_t flags = 0)
{
	iovad_domain_conf conf = conf_of(first, last, flags);
	conf.backend = IOVAD_BACKEND_SOFT;
	return conf;
}

// Memory that need not be there: the software IOMMU touches none.
void *va(uint64_t offset) { return reinterpret_cast<void *>(0x7f0000000000 + offset); }
void *beyond(uint64_t address) { return reinterpret_cast<void *>(address); }

std::string hex(uint64_t n)
{
	char text[32];
	std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(n));
	return text;
}

class MappingApi : public testing::Test {
protected:
	rte_iova_t map(void *memory, uint64_t len, uint64_t limit = kNoLimit, uint32_t dir = IOVAD_BIDIRECTIONAL)
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, iovad_map(d, memory, len, limit, dir, &iova));
		return iova;
	}
	void unmap(rte_iova_t iova, uint64_t len) { EXPECT_EQ(0, iovad_unmap(d, iova, len)); }

	TestDomain d{soft_conf()};
};

// Where nothing is cached every free is looked at.
TEST_F(MappingApi, AMappedAddressIsNotFreedByOtherMeans)
{
	TestDomain debug{soft_conf(0, 0, IOVAD_DOMAIN_F_DEBUG)};
	for (const uint64_t pages : {1, 3}) {
		rte_iova_t iova;
		ASSERT_EQ(0, iovad_map(debug, va(0), pages * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
		EXPECT_EQ(-EBUSY, iovad_free(debug, iova, pages * kPage));
		EXPECT_EQ(-EBUSY, iovad_free_bulk(debug, &iova, pages * kPage, 1));
		EXPECT_EQ(-EBUSY, iovad_free_range(debug, iova, 4 * kPage));
		EXPECT_EQ(va(0), iovad_iova2va(debug, iova, pages * kPage));
		EXPECT_EQ(0, iovad_unmap(debug, iova, pages * kPage));
	}
}

TEST_F(MappingApi, MapsLooksUpAndUnmaps)
{
	for (const uint64_t len : {uint64_t{1}, kPage, 3 * kPage + 1, 3 * k2MiB}) {
		char *const memory = static_cast<char *>(va(7));
		const rte_iova_t iova = map(memory, len);
		EXPECT_EQ(7u, iova % kPage);
		EXPECT_EQ(memory, iovad_iova2va(d, iova, len));
		EXPECT_EQ(iova, iovad_va2iova(d, memory, len));
		EXPECT_EQ(memory + len - 1, iovad_iova2va(d, iova + len - 1, 1));
		EXPECT_EQ(iova + len - 1, iovad_va2iova(d, memory + len - 1, 1));
		EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, memory, len + 2 * kPage));
		EXPECT_EQ(nullptr, iovad_iova2va(d, iova, len + 2 * kPage));
		EXPECT_EQ(0, iovad_verify(d, stderr));
		unmap(iova, len);
		EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, memory, 1));
		EXPECT_EQ(nullptr, iovad_iova2va(d, iova, 1));
	}
}

TEST_F(MappingApi, CountsWhatItDoes)
{
	const rte_iova_t a = map(va(0), kPage), b = map(va(0), kPage), c = map(va(k2MiB), kPage);
	EXPECT_EQ(a, b);
	iovad_domain_stats s = stats_of(d);
	EXPECT_EQ(2u, s.backend_maps);
	EXPECT_EQ(0u, s.backend_unmaps);
	EXPECT_EQ(2 * kPage, s.live_bytes);
	unmap(a, kPage);
	EXPECT_EQ(0u, stats_of(d).backend_unmaps);
	unmap(b, kPage);
	unmap(c, kPage);
	s = stats_of(d);
	EXPECT_EQ(2u, s.backend_unmaps);
	EXPECT_EQ(0u, s.backend_errors | s.quarantined_bytes | s.live_bytes);
}

TEST_F(MappingApi, FindTellsWhatIsMapped)
{
	for (const uint64_t len : {kPage, 3 * kPage, 4 * k2MiB}) {
		const rte_iova_t iova = map(va(5 * kPage), len);
		iovad_range range;
		ASSERT_EQ(0, iovad_find(d, iova + len - 1, &range));
		EXPECT_EQ(iova, range.iova);
		EXPECT_EQ(va(5 * kPage), range.va);
		EXPECT_EQ(len, range.len);
		EXPECT_EQ(static_cast<uint32_t>(IOVAD_RANGE_LIVE), range.state);
		unmap(iova, len);
		EXPECT_TRUE(iovad_find(d, iova, &range) != 0 || range.va == nullptr);
	}
}

TEST_F(MappingApi, NullAndZero)
{
	rte_iova_t iova = 77;
	EXPECT_EQ(-EINVAL, iovad_map(nullptr, va(0), kPage, kNoLimit, 3, &iova));
	EXPECT_EQ(-EINVAL, iovad_unmap(nullptr, kPage, kPage));
	EXPECT_EQ(-EINVAL, iovad_region_add(nullptr, va(0), kPage, kNoLimit, 3, &iova));
	EXPECT_EQ(-EINVAL, iovad_region_remove(nullptr, va(0), kPage));
	EXPECT_EQ(-EINVAL, iovad_domain_refresh(nullptr));
	EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(nullptr, va(0), 1));
	EXPECT_EQ(nullptr, iovad_iova2va(nullptr, kPage, 1));
	expect_refused(d, EINVAL, [&] { return iovad_map(d, va(0), kPage, kNoLimit, 3, nullptr); });
	expect_refused(d, EINVAL, [&] { return iovad_map(d, nullptr, kPage, kNoLimit, 3, &iova); });
	expect_refused(d, EINVAL, [&] { return iovad_region_add(d, va(0), kPage, kNoLimit, 3, nullptr); });
	expect_refused(d, EINVAL, [&] { return iovad_region_add(d, nullptr, kPage, kNoLimit, 3, &iova); });
	expect_refused(d, EINVAL, [&] { return iovad_region_remove(d, nullptr, kPage); });
	expect_refused(d, ENOENT, [&] { return iovad_region_remove(d, va(0), kPage); });
	expect_refused(d, ENOENT, [&] { return iovad_region_remove(d, va(0), 0); });
	EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, nullptr, 1));
	const rte_iova_t mapped = map(va(0), kPage);
	EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, va(0), 0));
	EXPECT_EQ(nullptr, iovad_iova2va(d, mapped, 0));
	unmap(mapped, kPage);
	EXPECT_EQ(77u, iova);
}

TEST_F(MappingApi, MemoryDirectionsAndLimitsThatCannotBe)
{
	TestDomain high(soft_conf(k4GiB));
	rte_iova_t iova = 77;
	const auto refused = [&](void *memory, uint64_t len, uint32_t dir = 3, uint64_t limit = kNoLimit) {
		SCOPED_TRACE(testing::Message() << memory << ' ' << len << ' ' << dir << ' ' << limit);
		expect_refused(high, EINVAL, [&] { return iovad_map(high, memory, len, limit, dir, &iova); });
		expect_refused(high, EINVAL, [&] { return iovad_region_add(high, memory, len, limit, dir, &iova); });
	};
	refused(va(0), 0);
	refused(va(0), kNoLimit);
	refused(va(0), kVaEnd);
	refused(beyond(kVaEnd), 1);
	refused(beyond(kVaEnd - 1), 2);
	refused(beyond(kNoLimit), 1);
	refused(beyond(kNoLimit), kNoLimit);
	for (const uint32_t dir : {0u, 4u, 5u, ~0u})
		refused(va(0), kPage, dir);
	for (const uint64_t limit : {uint64_t{0}, kPage, k4GiB - 1})
		refused(va(0), kPage, 3, limit);
	for (const uint64_t len : {uint64_t{0}, kNoLimit, kNoLimit - kPage})
		expect_refused(high, EINVAL, [&] { return iovad_unmap(high, 2 * kPage, len); });
	expect_refused(high, ENOSPC, [&] { return iovad_map(high, va(0), kPage, k4GiB, 3, &iova); });
	EXPECT_EQ(77u, iova);
}

TEST_F(MappingApi, WhatIsNotMappedIsNotFound)
{
	const rte_iova_t iova = map(va(0), 2 * kPage);
	for (const rte_iova_t other : {rte_iova_t{0}, iova - kPage, iova + 2 * kPage, rte_iova_t{1} << 50, RTE_BAD_IOVA - 2 * kPage})
		expect_refused(d, ENOENT, [&] { return iovad_unmap(d, other, kPage); });
	for (const uint64_t len : {kPage, 3 * kPage})
		expect_refused(d, ENOENT, [&] { return iovad_unmap(d, iova, len); });
	unmap(iova, 2 * kPage);
	expect_refused(d, ENOENT, [&] { return iovad_unmap(d, iova, 2 * kPage); });
}

TEST(MappingApiErrors, NoRoomAndNoRecords)
{
	rte_iova_t iova, other;
	{
		TestDomain small(soft_conf(kPage, 8 * kPage - 1));
		expect_refused(small, ENOSPC, [&] { return iovad_map(small, va(0), 8 * kPage, kNoLimit, 3, &iova); });
		expect_refused(small, ENOSPC, [&] { return iovad_map(small, va(0), uint64_t{1} << 40, kNoLimit, 3, &iova); });
		ASSERT_EQ(0, iovad_map(small, va(0), 4 * kPage, kNoLimit, 3, &iova));
		expect_refused(small, ENOSPC, [&] { return iovad_map(small, va(k2MiB), 4 * kPage, kNoLimit, 3, &other); });
		expect_refused(small, ENOSPC, [&] { return iovad_region_add(small, va(k2MiB), 4 * kPage, kNoLimit, 3, &other); });
		EXPECT_EQ(0, iovad_unmap(small, iova, 4 * kPage));
	}
	{
		iovad_domain_conf conf = soft_conf();
		conf.max_ranges = 2;
		TestDomain few(conf);
		rte_iova_t iovas[2];
		for (unsigned i = 0; i < 2; ++i)
			ASSERT_EQ(0, iovad_map(few, va(i * k2MiB), kPage, kNoLimit, 3, &iovas[i]));
		Log log;
		expect_refused(few, EAGAIN, [&] { return iovad_map(few, va(9 * k2MiB), kPage, kNoLimit, 3, &iova); });
		EXPECT_NE(std::string::npos, log.text().find("max_ranges")) << log.text();
		for (const rte_iova_t each : iovas)
			EXPECT_EQ(0, iovad_unmap(few, each, kPage));
	}
}

TEST(MappingApiErrors, WithoutABackendThereIsNoMapping)
{
	TestDomain d(conf_of_pages(64));
	rte_iova_t iova = 0;
	EXPECT_EQ(-ENOTSUP, iovad_map(d, va(0), kPage, kNoLimit, 3, &iova));
	EXPECT_EQ(-ENOTSUP, iovad_unmap(d, kPage, kPage));
	EXPECT_EQ(-ENOTSUP, iovad_region_add(d, va(0), kPage, kNoLimit, 3, &iova));
	EXPECT_EQ(-ENOTSUP, iovad_region_remove(d, va(0), kPage));
	EXPECT_EQ(-ENOTSUP, iovad_domain_refresh(d));
	EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, va(0), 1));
	EXPECT_EQ(nullptr, iovad_iova2va(d, kPage, 1));
	EXPECT_EQ(0u, stats_of(d).backend_maps);
}

TEST_F(MappingApi, Regions)
{
	rte_iova_t iova = 0, other;
	const uint64_t len = 5 * k2MiB;
	char *const memory = static_cast<char *>(va(3 * kPage + 9));
	ASSERT_EQ(0, iovad_region_add(d, memory, len, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ(reinterpret_cast<uint64_t>(memory) % k2MiB, iova % k2MiB);
	for (const uint64_t offset : {uint64_t{0}, kPage, k2MiB + 1, len - 1}) {
		EXPECT_EQ(iova + offset, iovad_va2iova(d, memory + offset, len - offset));
		EXPECT_EQ(memory + offset, iovad_iova2va(d, iova + offset, len - offset));
	}
	expect_refused(d, EEXIST, [&] { return iovad_region_add(d, memory + len - 1, 2, kNoLimit, 3, &other); });
	expect_refused(d, EEXIST, [&] { return iovad_region_add(d, memory, len, kNoLimit, 3, &other); });
	const rte_iova_t buffer = map(memory + kPage, 100);
	EXPECT_EQ(iova + kPage, buffer);
	expect_refused(d, EBUSY, [&] { return iovad_region_remove(d, memory, len); });
	unmap(buffer, 100);
	expect_refused(d, ENOENT, [&] { return iovad_region_remove(d, memory, len - 1); });
	expect_refused(d, ENOENT, [&] { return iovad_region_remove(d, memory + 1, len); });
	expect_refused(d, ENOENT, [&] { return iovad_unmap(d, iova, len); });
	EXPECT_EQ(0, iovad_domain_refresh(d));
	EXPECT_EQ(0, iovad_region_remove(d, memory, len));
	expect_refused(d, ENOENT, [&] { return iovad_region_remove(d, memory, len); });
	EXPECT_EQ(RTE_BAD_IOVA, iovad_va2iova(d, memory, 1));
}

TEST_F(MappingApi, MappedAddressesAreNotFreedAsRanges)
{
	// From the caches, exact, and with padding in front.
	struct Case {
		uint64_t offset, len;
	};
	for (const Case &c : {Case{0, kPage}, Case{0, 100 * kPage}, Case{3 * kPage, 2 * k2MiB}}) {
		const uint64_t offset = c.offset, len = c.len;
		const rte_iova_t iova = map(va(offset), len);
		expect_refused(d, EBUSY, [&] { return iovad_free_range(d, iova, len); });
		expect_refused(d, EBUSY, [&] { return iovad_free_range(d, iova - offset, offset + len); });
		expect_refused(d, EEXIST, [&] { return iovad_reserve(d, iova, len); });
		EXPECT_EQ(va(offset), iovad_iova2va(d, iova, len));
		unmap(iova, len);
	}
	// Others are.
	const rte_iova_t range = d.alloc_range(3 * kPage, kPage, kNoLimit);
	EXPECT_EQ(0, iovad_free_range(d, range, 3 * kPage));
	EXPECT_EQ(-EINVAL, iovad_free_range(d, range, 0));
}

TEST(MappingApiDestroy, IsRefusedWhileAnythingIsMappedAndSaysWhat)
{
	iovad_domain_conf conf = soft_conf();
	conf.name = "mapped";
	iovad_domain *d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d);
	rte_iova_t iova, region;
	ASSERT_EQ(0, iovad_map(d, va(5), 3, kNoLimit, 3, &iova));
	ASSERT_EQ(0, iovad_region_add(d, va(k2MiB), 70 * kPage, kNoLimit, 3, &region));
	{
		Log log;
		EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
		EXPECT_NE(std::string::npos, log.text().find(hex(iova & ~(kPage - 1)))) << log.text();
		EXPECT_NE(std::string::npos, log.text().find(hex(region))) << log.text();
		EXPECT_NE(std::string::npos, log.text().find("mapped: not destroyed, 2 ranges")) << log.text();
	}
	EXPECT_EQ(d, iovad_domain_lookup("mapped"));
	EXPECT_EQ(va(5), iovad_iova2va(d, iova, 3)) << "works as before";
	EXPECT_EQ(0, iovad_unmap(d, iova, 3));
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
	EXPECT_EQ(0, iovad_region_remove(d, va(k2MiB), 70 * kPage));
	EXPECT_EQ(0, iovad_domain_destroy(d));
}

TEST(MappingApiKinds, EveryKindOfDomain)
{
	for (const uint32_t flags : {0u, IOVAD_DOMAIN_F_NO_CACHE, IOVAD_DOMAIN_F_DEBUG}) {
		for (const uint64_t granule : {uint64_t{0}, uint64_t{65536}, k2MiB}) {
			iovad_domain_conf conf = soft_conf(0, 0, flags);
			conf.granule = granule;
			TestDomain d(conf);
			std::vector<std::pair<rte_iova_t, uint64_t>> all;
			for (uint64_t i = 0; i < 40; ++i) {
				rte_iova_t iova = 0;
				const uint64_t len = 1 + i * i * 1000;
				ASSERT_EQ(0, iovad_map(d, va(i * 4 * k2MiB + i), len, i % 3 ? kNoLimit : kLimit32, 3, &iova));
				ASSERT_EQ(va(i * 4 * k2MiB + i), iovad_iova2va(d, iova, len));
				all.emplace_back(iova, len);
			}
			EXPECT_EQ(0, iovad_verify(d, stderr));
			for (const auto &[iova, len] : all)
				EXPECT_EQ(0, iovad_unmap(d, iova, len));
		}
	}
}

TEST(MappingApiThreads, AllKindsOfThreadsMapAndLookUp)
{
	TestDomain d(soft_conf(0, uint64_t{64} << 20));
	std::atomic<uint64_t> wrong = 0;
	Crew::run([&](unsigned actor) {
		for (uint64_t i = 0; i < 1500; ++i) {
			rte_iova_t iova = 0;
			// Half of it everybody's.
			void *const memory = i % 2 ? va(uint64_t{actor + 1} << 32 | (i % 50) * kPage) : va((i % 20) * kPage / 2);
			const uint64_t len = 1 + i % 3 * kPage;
			if (iovad_map(d, memory, len, kNoLimit, 3, &iova) != 0) {
				++wrong;
				continue;
			}
			wrong += iovad_iova2va(d, iova, len) != memory;
			const rte_iova_t found = iovad_va2iova(d, memory, 1);
			// By the time of the second lookup whoever it belonged to may have unmapped it.
			wrong += found == RTE_BAD_IOVA || (i % 2 && iovad_iova2va(d, found, 1) != memory);
			wrong += iovad_unmap(d, iova, len) != 0;
		}
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(stats_of(d).backend_maps, stats_of(d).backend_unmaps);
}

// ---- configurations ----

int create_error(iovad_domain_conf conf, std::string *text = nullptr)
{
	conf.name = "mapping-conf";
	Log log;
	rte_errno = 0;
	iovad_domain *d = iovad_domain_create(&conf);
	const int error = rte_errno;
	if (text)
		*text = log.text();
	EXPECT_EQ(nullptr, iovad_domain_lookup("mapping-conf") == d ? nullptr : d);
	if (!d)
		return error;
	EXPECT_EQ(0, iovad_domain_destroy(d));
	return 0;
}

TEST(MappingConf, WindowsBeyondTheReachOfDevices)
{
	std::string text;
	EXPECT_EQ(0, create_error(soft_conf(0, kVaEnd - 1)));
	for (const uint64_t last : {kVaEnd, kVaEnd + kPage, kNoLimit}) {
		EXPECT_EQ(EINVAL, create_error(soft_conf(0, last), &text));
		EXPECT_NE(std::string::npos, text.find("0xffffffffffff")) << text;
	}
	EXPECT_EQ(EINVAL, create_error(soft_conf(kVaEnd, 0)));
	// The whole reach is the default, less what devices cannot address.
	TestDomain d(soft_conf());
	EXPECT_EQ(kVaEnd - kPage - (uint64_t{1} << 20), stats_of(d).free_bytes);
	EXPECT_EQ(uint64_t{1} << 20, stats_of(d).reserved_bytes);
}

TEST(MappingConf, Granules)
{
	iovad_domain_conf conf = soft_conf();
	for (const uint64_t granule : {uint64_t{2048}, uint64_t{12288}, uint64_t{1} << 31}) {
		conf.granule = granule;
		EXPECT_EQ(EINVAL, create_error(conf));
	}
	conf.granule = uint64_t{1} << 30;
	EXPECT_EQ(0, create_error(conf));
}

TEST(MappingConf, VfioWithoutAContainerSaysWhatToDo)
{
	iovad_domain_conf conf = conf_of(0, 0);
	conf.backend = IOVAD_BACKEND_VFIO;
	std::string text;
	EXPECT_EQ(ENODEV, create_error(conf, &text));
	EXPECT_NE(std::string::npos, text.find("vfio-pci")) << text;
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ASSERT_GE(null, 0);
	conf.container_fd = null;
	EXPECT_EQ(EINVAL, create_error(conf, &text));
	EXPECT_NE(std::string::npos, text.find("/dev/vfio/vfio")) << text;
	EXPECT_NE(-1, fcntl(null, F_GETFD)) << "it stays the caller's";
	close(null);
	conf.container_fd = 1 << 20;
	EXPECT_EQ(EINVAL, create_error(conf, &text));
}

TEST(MappingConf, DomainsComeAndGo)
{
	for (int i = 0; i < 30; ++i) {
		TestDomain d(soft_conf());
		rte_iova_t iova = 0;
		ASSERT_EQ(0, iovad_map(d, va(0), kPage, kNoLimit, 3, &iova));
		ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	}
}

}  // namespace
}  // namespace iovad::test
