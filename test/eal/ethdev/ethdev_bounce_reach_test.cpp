// SPDX-License-Identifier: BSD-3-Clause
// What devices are said to reach: memory that the domain has mapped, for as long as it has, and, in EAL's
// VFIO container, what EAL has. No such container is wanted for the latter: a domain that
// watches EAL's memory, as those in it do, knows the same of it.
#include <sys/mman.h>

#include <rte_memory.h>

#include "bounce_packets.h"
#include "dma/soft/requester.h"
#include "dma/soft/soft_iommu.h"
#include "eal/domain/mapping.h"
#include "eal/ethdev/reach.h"
#include "iovad/iovad_control.h"

namespace iovad::test {
namespace {

// So many pages of the program's own.
class Pages {
public:
	explicit Pages(size_t n) : bytes_(n * kPage), memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	{
		EXPECT_NE(MAP_FAILED, memory_);
	}
	~Pages() { munmap(memory_, bytes_); }
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;

	char *page(size_t i) const { return static_cast<char *>(memory_) + i * kPage; }
	void *all() const { return memory_; }
	size_t bytes() const { return bytes_; }

private:
	size_t bytes_;
	void *memory_;
};

class ReachTest : public testing::Test {
protected:
	ReachTest() : domain(soft_conf()), d(domain), pages(kCount) { reach.begin(*d); }

	// As a driver's burst, of one packet of 100 bytes.
	bool holds(void *va, rte_iova_t iova)
	{
		rte_mbuf m{};
		m.buf_addr = va;
		m.buf_len = kPage;
		rte_mbuf_iova_set(&m, iova);
		m.data_len = 100;
		reach.begin_burst();
		return reach.holds(m);
	}
	rte_iova_t add(size_t page, uint32_t dir = IOVAD_TO_DEVICE, uint64_t limit = kNoLimit) const
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, iovad_region_add(domain, pages.page(page), kPage, limit, dir, &iova));
		return iova;
	}
	void remove(size_t page) const { EXPECT_EQ(0, iovad_region_remove(domain, pages.page(page), kPage)); }

	static constexpr size_t kCount = 8;  // more than are remembered
	TestDomain domain;
	iovad_domain *const d;
	Pages pages;
	eal::Reach reach;
};

TEST_F(ReachTest, EndsWithTheMappingOnly)
{
	rte_iova_t iovas[kCount];
	for (size_t i = 0; i < kCount; ++i)
		iovas[i] = add(i);
	for (size_t gone = 0; gone < kCount; ++gone) {
		for (size_t i = 0; i < kCount; ++i)
			EXPECT_EQ(i >= gone, holds(pages.page(i), iovas[i])) << i << " of " << gone;
		EXPECT_TRUE(holds(pages.page(gone), iovas[gone]));  // the one that was seen last
		remove(gone);
		EXPECT_FALSE(holds(pages.page(gone), iovas[gone])) << gone;
	}
}

// Its record is used anew.
TEST_F(ReachTest, MemoryThatIsMappedElsewhereNext)
{
	const rte_iova_t before = add(0);
	EXPECT_TRUE(holds(pages.page(0), before));
	remove(0);
	const rte_iova_t now = add(0, IOVAD_TO_DEVICE, before - 1);
	EXPECT_FALSE(holds(pages.page(0), before));
	EXPECT_TRUE(holds(pages.page(0), now));
	remove(0);
}

TEST_F(ReachTest, BuffersAndRegions)
{
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(domain, pages.page(0), kPage, kNoLimit, IOVAD_TO_DEVICE, &iova));
	EXPECT_TRUE(holds(pages.page(0), iova));
	ASSERT_EQ(0, iovad_unmap(domain, iova, kPage));
	EXPECT_FALSE(holds(pages.page(0), iova));
	iova = add(1, IOVAD_FROM_DEVICE);
	EXPECT_FALSE(holds(pages.page(1), iova));
	remove(1);
}

// Its owner may do with the memory what it likes, whether or not devices still reach it.
TEST_F(ReachTest, WhatCouldNotBeUnmapped)
{
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(domain, pages.page(0), kPage, kNoLimit, IOVAD_TO_DEVICE, &iova));
	EXPECT_TRUE(holds(pages.page(0), iova));
	{
		dma::Requester requester(dynamic_cast<dma::SoftIommu &>(d->mapper->backend()));
		const dma::Requester::Burst burst(requester);
		EXPECT_EQ(-EIO, iovad_unmap(domain, iova, kPage));
	}
	EXPECT_FALSE(holds(pages.page(0), iova));
	EXPECT_EQ(0, iovad_flush(domain));
}

// Heaps in EAL's container: EAL removes the translation, and the domain unmaps nothing.
TEST_F(ReachTest, WhatSomebodyElseInstalled)
{
	rte_iova_t iova;
	ASSERT_EQ(0, eal::add_region(*d, pages.page(0), kPage, kNoLimit, IOVAD_TO_DEVICE, iova, dma::Installer::other));
	EXPECT_TRUE(holds(pages.page(0), iova));
	remove(0);
	EXPECT_FALSE(holds(pages.page(0), iova));
}

TEST_F(ReachTest, LazilyUnmapped)
{
	iovad_domain_conf conf = soft_conf();
	conf.unmap_policy = IOVAD_UNMAP_LAZY;
	const TestDomain lazy(conf);
	reach.begin(*static_cast<iovad_domain *>(lazy));
	iovad_control_poll();  // so that it is deferred
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(lazy, pages.page(0), kPage, kNoLimit, IOVAD_TO_DEVICE, &iova));
	EXPECT_TRUE(holds(pages.page(0), iova));
	ASSERT_EQ(0, iovad_unmap(lazy, iova, kPage));
	ASSERT_EQ(0, iovad_flush(lazy));
	EXPECT_FALSE(holds(pages.page(0), iova));
}

// In EAL's VFIO container, as far as it can be without VFIO.
class EalContainer : public BouncePackets {
protected:
	void SetUp() override
	{
		iovad_domain *d = domain;
		d->eal_memory = std::make_unique<eal::EalMemory>(d->core, *d->mappings, domain.name());
		ASSERT_EQ(0, d->eal_memory->start());
		enable();
	}
};

TEST_F(EalContainer, WhatEalHasMappedPasses)
{
	for (int i = 0; i < 3; ++i) {
		rte_mbuf *m = chain(heap, {"EAL's ", "memory"});
		EXPECT_EQ(m, through(m));
		rte_pktmbuf_free(m);
	}
	EXPECT_EQ(3u, counted().tx_passed);
	EXPECT_EQ(0u, pool.stats().maps);
}

TEST_F(EalContainer, AtAnotherAddressItIsCopied)
{
	rte_mbuf *m = segment(heap, "elsewhere");
	const rte_iova_t iova = rte_mbuf_iova_get(m);
	rte_mbuf_iova_set(m, iova + kPage);
	rte_mbuf *out = through(m);
	EXPECT_EQ("elsewhere", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	rte_mbuf_iova_set(m, iova);
}

// EAL maps it for nobody; only devices that the program maps it for reach it.
TEST_F(EalContainer, MemoryOfTheProgramIsCopied)
{
	ExternalBuffer buffer("the program's", 4096);
	rte_mbuf *out = through(buffer.attach(heap, 13));
	EXPECT_EQ("the program's", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	Pages pages(16);
	ASSERT_EQ(0, rte_extmem_register(pages.all(), pages.bytes(), nullptr, 0, kPage));
	std::memcpy(pages.page(0), "registered", 10);
	rte_mbuf *m = rte_pktmbuf_alloc(heap.get());
	rte_mbuf_ext_shared_info info{};
	info.free_cb = [](void *, void *) {};
	rte_mbuf_ext_refcnt_set(&info, 1);
	rte_pktmbuf_attach_extbuf(m, pages.page(0), reinterpret_cast<uint64_t>(pages.page(0)), kPage, &info);
	m->data_len = 10;
	m->pkt_len = 10;
	out = through(m);
	EXPECT_EQ("registered", read_by_device(domain, out));
	rte_pktmbuf_free(out);
	EXPECT_EQ(0, rte_extmem_unregister(pages.all(), pages.bytes()));
	EXPECT_EQ(2u, counted().tx_copied);
}

// What the domain has mapped itself is found as elsewhere, and goes as elsewhere.
TEST_F(EalContainer, MemoryOfTheDomainPasses)
{
	ExternalBuffer buffer("mapped", 4096);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_region_add(domain, buffer.data(), 4096, kNoLimit, IOVAD_TO_DEVICE, &iova));
	rte_mbuf *m = buffer.attach(heap, 6);
	rte_mbuf_iova_set(m, iova);
	EXPECT_EQ(m, through(m));
	EXPECT_EQ(0, iovad_region_remove(domain, buffer.data(), 4096));
	rte_mbuf *out = through(m);
	EXPECT_EQ("mapped", read_by_device(domain, out));
	rte_pktmbuf_free(out);
}

}  // namespace
}  // namespace iovad::test
