// SPDX-License-Identifier: BSD-3-Clause
// Domains in EAL's VFIO container and what bounds them: the IOMMU's reach and its holes,
// limits of devices, the number of mappings, locked memory.
// IOVAD_TEST_AW_BITS is the address width of the machine's IOMMU.
#include "dma/vfio/kernel_limits.h"
#include "machine.h"
#include "vfio/lowered_limits.h"

namespace iovad::test {
namespace {

class VfioLimits : public WithVfio {
protected:
	static uint64_t reach()
	{
		const char *bits = std::getenv("IOVAD_TEST_AW_BITS");
		return (uint64_t{1} << (bits ? std::atoi(bits) : 39)) - 1;
	}
};

TEST_F(VfioLimits, TheWindowGoesAsFarAsTheIommu)
{
	TestDomain d(conf());
	ASSERT_EQ(reach(), info().valid.back().last);
	const rte_iova_t top = d.alloc_range(kPage, kPage, kNoLimit);
	EXPECT_EQ(reach() - kPage + 1, top);
	EXPECT_EQ(0, iovad_free_range(d, top, kPage));
	const Buffer memory(kPage);
	rte_iova_t iova = 0;
	ASSERT_EQ(0, iovad_map(d, memory.at(), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ("", reaches(iova, memory.at(), kPage));
	EXPECT_EQ(0, iovad_unmap(d, iova, kPage));
	trace->catch_up();
	EXPECT_FALSE(trace->maps_any(iova, kPage));
}

TEST_F(VfioLimits, HolesAndWhatEalUsesAreReserved)
{
	TestDomain d(conf());
	const dma::Info i = info();
	ASSERT_GE(i.valid.size(), 2u) << "no hole for interrupts";
	for (size_t n = 1; n < i.valid.size(); ++n) {
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, i.valid[n - 1].last + 1));
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(d, i.valid[n].first - 1));
		EXPECT_EQ(0u, state_at(d, i.valid[n].first));
	}
	const auto segment = [](const rte_memseg_list *, const rte_memseg *s, void *domain) {
		auto *dom = static_cast<iovad_domain *>(domain);
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(dom, s->iova)) << std::hex << s->iova;
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(dom, s->iova + s->len - 1)) << std::hex << s->iova;
		return 0;
	};
	rte_memseg_walk(segment, d);
	if (!mode_va())
		return;
	// All that EAL set aside, used or not.
	const auto area = [](const rte_memseg_list *list, void *domain) {
		auto *dom = static_cast<iovad_domain *>(domain);
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(dom, list->addr_64)) << std::hex << list->addr_64;
		EXPECT_EQ(IOVAD_RANGE_RESERVED, state_at(dom, list->addr_64 + list->len - 1)) << std::hex << list->addr_64;
		return 0;
	};
	rte_memseg_list_walk(area, d);
}

TEST_F(VfioLimits, AWindowBeyondTheReachIsRefused)
{
	iovad_domain_conf c = conf(0, reach() + kPage);
	c.name = "beyond";
	LogLines log;
	EXPECT_EQ(nullptr, iovad_domain_create(&c));
	EXPECT_EQ(EINVAL, rte_errno);
	char words[64];
	std::snprintf(words, sizeof words, "devices reach no further than 0x%llx", static_cast<unsigned long long>(reach()));
	EXPECT_TRUE(log.says(words));
}

TEST_F(VfioLimits, MapsUnderALimitUntilThereIsNoRoomAndAgain)
{
	constexpr uint64_t kPages = 512;
	TestDomain d(conf(kLow, kLow + kPages * kPage - 1));
	const uint64_t left = info().mappings_left;
	const Buffer memory((kPages + 1) * kPage);
	EXPECT_EQ(-EINVAL, iovad_map(d, memory.at(), kPage, kLow - 1, IOVAD_BIDIRECTIONAL, nullptr));
	rte_iova_t none = 0;
	EXPECT_EQ(-EINVAL, iovad_map(d, memory.at(), kPage, kLow - 1, IOVAD_BIDIRECTIONAL, &none));
	std::vector<rte_iova_t> iovas(kPages);
	for (uint64_t n = 0; n < kPages; ++n)
		ASSERT_EQ(0, iovad_map(d, memory.at(n * kPage), kPage, kLimit32, IOVAD_BIDIRECTIONAL, &iovas[n])) << n;
	expect_refused(d, ENOSPC, [&] {
		return iovad_map(d, memory.at(kPages * kPage), kPage, kLimit32, IOVAD_BIDIRECTIONAL, &none);
	});
	trace->catch_up();
	for (uint64_t n = 0; n < kPages; ++n)
		EXPECT_EQ("", trace->reaches(iovas[n], memory.at(n * kPage), kPage));
	// One goes, and exactly one more fits.
	ASSERT_EQ(0, iovad_unmap(d, iovas[100], kPage));
	ASSERT_EQ(0, iovad_map(d, memory.at(kPages * kPage), kPage, kLimit32, IOVAD_BIDIRECTIONAL, &none));
	EXPECT_EQ(iovas[100], none);
	EXPECT_EQ("", reaches(none, memory.at(kPages * kPage), kPage));
	for (const rte_iova_t iova : iovas)
		EXPECT_EQ(0, iovad_unmap(d, iova, kPage));
	EXPECT_EQ(left, info().mappings_left);
	trace->catch_up();
	EXPECT_FALSE(trace->maps_any(kLow, kPages * kPage));
	// Another buffer, all of it at once.
	ASSERT_EQ(0, iovad_map(d, memory.at(), kPages * kPage, kLimit32, IOVAD_TO_DEVICE, &none));
	EXPECT_EQ("", reaches(none, memory.at(), kPages * kPage));
	EXPECT_EQ(0, iovad_unmap(d, none, kPages * kPage));
}

// The kernel maps by 2 MiB what lies alike modulo 2 MiB in both address spaces.
TEST_F(VfioLimits, HugePageMemoryIsMappedByLargePages)
{
	TestDomain d(conf());
	const Buffer memory(4 * k2MiB, true);
	for (const uint64_t limit : {kLimit32, kNoLimit}) {
		for (const uint64_t offset : {uint64_t{0}, 3 * kPage}) {
			const uint64_t len = memory.len() - offset;
			trace->catch_up();
			rte_iova_t iova = 0;
			ASSERT_EQ(0, iovad_map(d, memory.at(offset), len, limit, IOVAD_BIDIRECTIONAL, &iova));
			EXPECT_EQ(reinterpret_cast<uint64_t>(memory.at(offset)) % k2MiB, iova % k2MiB);
			uint64_t bytes = 0;
			for (const IommuTrace::Entry &e : trace->catch_up()) {
				EXPECT_EQ(e.physical % k2MiB, e.iova % k2MiB);
				const uint64_t first_page_end = k2MiB - e.iova % k2MiB;
				EXPECT_GE(e.len, first_page_end) << "in pieces";
				EXPECT_EQ(0u, (e.len - first_page_end) % k2MiB);
				bytes += e.len;
			}
			EXPECT_EQ(len, bytes);
			EXPECT_EQ("", trace->reaches(iova, memory.at(offset), len));
			EXPECT_EQ(0, iovad_unmap(d, iova, len));
		}
	}
}

TEST_F(VfioLimits, LockedMemoryThatRunsOutIsNamedAndGivenBack)
{
	TestDomain d(conf());
	const Buffer memory(8 * kMiB);
	const uint64_t left = info().mappings_left;
	rte_iova_t iova = 0, small = 0;
	{
		dma::LowerMemlock lower(dma::read_kernel_limits().locked_bytes + 4 * kMiB);
		ASSERT_TRUE(lower.ok());
		ASSERT_EQ(0, iovad_map(d, memory.at(), kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &small));
		const uint64_t locked = dma::read_kernel_limits().locked_bytes;
		for (const bool region : {false, true}) {
			LogLines log;
			expect_refused(d, ENOMEM, [&] {
				return region ? iovad_region_add(d, memory.at(kMiB), 7 * kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &iova)
					      : iovad_map(d, memory.at(kMiB), 7 * kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &iova);
			});
			EXPECT_TRUE(log.says("RLIMIT_MEMLOCK is reached"));
			EXPECT_TRUE(log.says("ulimit -l"));
			EXPECT_EQ(locked, dma::read_kernel_limits().locked_bytes);
		}
		EXPECT_EQ("", reaches(small, memory.at(), kMiB));
		EXPECT_EQ(0, iovad_unmap(d, small, kMiB));
		ASSERT_EQ(0, iovad_map(d, memory.at(kMiB), 3 * kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &small)) << "room again";
		EXPECT_EQ(0, iovad_unmap(d, small, 3 * kMiB));
	}
	ASSERT_EQ(0, iovad_map(d, memory.at(kMiB), 7 * kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ(0, iovad_unmap(d, iova, 7 * kMiB));
	EXPECT_EQ(left, info().mappings_left);
}

// In a process of its own, started with a low dma_entry_limit.
class VfioBudget : public WithVfio {
protected:
	void SetUp() override
	{
		WithVfio::SetUp();
		if (!IsSkipped() && info().mappings_left > 1000)
			GTEST_SKIP() << "vfio_iommu_type1.dma_entry_limit is not low";
	}
};

TEST_F(VfioBudget, WhenAllMappingsAreUsedUpTheLimitIsNamedAndAllCanBeGivenBack)
{
	TestDomain d(conf());
	const Buffer memory(1001 * kPage);
	rte_iova_t iova = 0;
	// What the domain needs for itself from EAL it has after this.
	ASSERT_EQ(0, iovad_map(d, memory.at(), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	const uint64_t left = info().mappings_left;
	ASSERT_GT(left, 10u);
	const uint64_t mapped_before = stats_of(d).backend_maps;
	std::vector<rte_iova_t> iovas;
	int rc;
	uint64_t n = 0;
	const auto map_next = [&] {
		return iovad_map(d, memory.at(n * kPage), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova);
	};
	LogLines log;
	while ((rc = map_next()) == 0) {
		iovas.push_back(iova);
		++n;
		ASSERT_LT(n, 1001u);
	}
	EXPECT_EQ(-ENOSPC, rc);
	EXPECT_EQ(left, iovas.size());
	EXPECT_EQ(0u, info().mappings_left);
	EXPECT_TRUE(log.says("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"));
	EXPECT_TRUE(log.says("dma_entry_limit is "));
	expect_refused(d, ENOSPC, map_next);
	expect_refused(d, ENOSPC, [&] {
		return iovad_region_add(d, memory.at(n * kPage), kPage, kLimit32, IOVAD_BIDIRECTIONAL, &iova);
	});
	EXPECT_EQ(iovas.size(), stats_of(d).backend_maps - mapped_before);
	EXPECT_EQ(3u, stats_of(d).backend_errors);
	// One goes, one comes.
	for (int i = 0; i < 3; ++i) {
		EXPECT_EQ(0, iovad_unmap(d, iovas.back(), kPage));
		EXPECT_EQ(0, map_next());
		iovas.back() = iova;
	}
	EXPECT_EQ(-ENOSPC, iovad_map(d, memory.at((n + 1) * kPage), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	for (const rte_iova_t each : iovas)
		EXPECT_EQ(0, iovad_unmap(d, each, kPage));
	EXPECT_EQ(left, info().mappings_left);
	EXPECT_EQ(0u, stats_of(d).live_ranges);
	EXPECT_EQ(0u, stats_of(d).quarantined_bytes);
	EXPECT_EQ(0, iovad_verify(d, stderr));
	// Fewer and larger, as the log says.
	ASSERT_EQ(0, iovad_map(d, memory.at(), memory.len(), kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	EXPECT_EQ(left - 1, info().mappings_left);
	EXPECT_EQ(0, iovad_unmap(d, iova, memory.len()));
}

}  // namespace
}  // namespace iovad::test
