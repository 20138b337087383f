// SPDX-License-Identifier: BSD-3-Clause
// iovad_bounce.h over the software IOMMU: what each function gives, and each errno it can have.
// All orders of calls, byte by byte: test/unit/bounce_*.
#include "../crew.h"
#include "bounce_fixture.h"
#include "eal/bounce/registry.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

constexpr uint64_t kLengths[] = {1, 64, 1500, 2048, 2049, 9000, 65536, 200000, kChunk, kChunk + 1, 3 * kChunk};

class BouncePool : public testing::Test {
protected:
	TestDomain d{soft_domain_conf()};
	Device device{d};
	TestPool pool{bounce_conf(d, 8 * kChunk, 16 * kChunk)};
};

TEST_F(BouncePool, ToTheDevice)
{
	for (const uint64_t len : kLengths) {
		std::vector<char> data = pattern(len, 1);
		const rte_iova_t iova = pool.map(data.data(), len, IOVAD_TO_DEVICE);
		EXPECT_TRUE(data == device.read(iova, len)) << len;
		const std::vector<char> later = pattern(len, 2);
		data = later;
		EXPECT_EQ(0, iovad_bounce_sync_for_device(pool, iova, len / 2, len - len / 2, IOVAD_TO_DEVICE));
		EXPECT_EQ(later.back(), device.read(iova, len).back());
		EXPECT_EQ(0, iovad_bounce_sync_for_cpu(pool, iova, 0, len, IOVAD_TO_DEVICE));
		device.write(iova, pattern(len, 3));
		pool.unmap(iova, len, IOVAD_TO_DEVICE);
		EXPECT_TRUE(later == data) << "nothing comes back";
	}
}

TEST_F(BouncePool, FromTheDevice)
{
	for (const uint64_t len : kLengths) {
		const std::vector<char> before = pattern(len, 4), written = pattern(len, 5);
		std::vector<char> data = before;
		rte_iova_t iova = pool.map(data.data(), len, IOVAD_FROM_DEVICE);
		pool.unmap(iova, len, IOVAD_FROM_DEVICE);
		EXPECT_TRUE(before == data) << "it wrote nothing";
		iova = pool.map(data.data(), len, IOVAD_FROM_DEVICE | IOVAD_BOUNCE_OVERWRITE);
		EXPECT_FALSE(before == device.read(iova, len)) << "it was not told what was there";
		device.write(iova, written);
		EXPECT_EQ(0, iovad_bounce_sync_for_cpu(pool, iova, len - 1, 1, IOVAD_FROM_DEVICE));
		EXPECT_EQ(written.back(), data.back());
		pool.unmap(iova, len, IOVAD_FROM_DEVICE);
		EXPECT_TRUE(written == data);
		iova = pool.map(data.data(), len, IOVAD_FROM_DEVICE);
		device.write(iova, before);
		pool.unmap(iova, len, IOVAD_FROM_DEVICE, IOVAD_BOUNCE_F_SKIP_COPY);
		EXPECT_TRUE(written == data) << "not copied";
	}
}

TEST_F(BouncePool, BothWays)
{
	std::vector<char> data = pattern(5000, 6);
	const rte_iova_t iova = pool.map(data.data(), data.size());
	EXPECT_TRUE(data == device.read(iova, data.size()));
	const std::vector<char> written = pattern(5000, 7);
	device.write(iova, written);
	pool.unmap(iova, data.size());
	EXPECT_TRUE(written == data);
}

TEST_F(BouncePool, LowAddressBitsAreKept)
{
	std::vector<char> memory(8 * kPage);
	for (const uint64_t mask : {uint64_t{0xfff}, uint64_t{0x3f}, kChunk - 1}) {
		char *const va = memory.data() + 1234;
		const rte_iova_t iova = pool.map(va, 3000, IOVAD_TO_DEVICE, mask);
		EXPECT_EQ(reinterpret_cast<uint64_t>(va) & mask, iova & mask);
		pool.unmap(iova, 3000, IOVAD_TO_DEVICE);
	}
}

// Nothing but the pool is mapped, and of others' data there is nothing around what was mapped.
TEST_F(BouncePool, TheDeviceSeesNothingElse)
{
	char byte = 1;
	EXPECT_TRUE(device.faults(reinterpret_cast<uint64_t>(&byte)));
	EXPECT_TRUE(device.faults(pool.last() + 1));
	EXPECT_TRUE(device.faults(pool.first())) << "memory that is not there yet";
	std::vector<char> secret(2048, 'S');
	for (unsigned i = 0; i < 400; ++i)
		pool.unmap(pool.map(secret.data(), 2048), 2048);
	for (unsigned i = 0; i < 400; ++i) {
		const rte_iova_t iova = pool.map(&byte, 1);
		const std::vector<char> slot = device.read(iova & ~uint64_t{2047}, 2048);
		EXPECT_EQ(2047, std::count(slot.begin(), slot.end(), 0));
		pool.unmap(iova, 1);
	}
}

TEST_F(BouncePool, LookupsFindSlots)
{
	std::vector<char> data = pattern(100, 8);
	const rte_iova_t iova = pool.map(data.data(), 100);
	void *const slot = iovad_iova2va(d, iova, 100);
	ASSERT_NE(nullptr, slot);
	EXPECT_EQ(0, std::memcmp(slot, data.data(), 100));
	EXPECT_EQ(iova, iovad_va2iova(d, slot, 100));
	EXPECT_EQ(-EBUSY, iovad_free_range(d, pool.first(), pool.last() + 1 - pool.first())) << "the window is the pool's";
	pool.unmap(iova, 100);
}

TEST_F(BouncePool, NullAndZero)
{
	char byte = 0;
	rte_iova_t iova = 0;
	iovad_bounce_stats stats;
	EXPECT_EQ(-EINVAL, iovad_bounce_map(nullptr, &byte, 1, 0, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(-EINVAL, iovad_bounce_map(pool, nullptr, 1, 0, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(-EINVAL, iovad_bounce_map(pool, &byte, 1, 0, IOVAD_TO_DEVICE, nullptr));
	EXPECT_EQ(-EINVAL, iovad_bounce_map(pool, &byte, 0, 0, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(-EINVAL, iovad_bounce_unmap(nullptr, pool.first(), 1, IOVAD_TO_DEVICE, 0));
	EXPECT_EQ(-EINVAL, iovad_bounce_unmap(pool, pool.last(), 0, IOVAD_TO_DEVICE, 0));
	EXPECT_EQ(-EINVAL, iovad_bounce_sync_for_cpu(nullptr, pool.last(), 0, 1, IOVAD_TO_DEVICE));
	EXPECT_EQ(-EINVAL, iovad_bounce_sync_for_cpu(pool, pool.last(), 0, 0, IOVAD_TO_DEVICE));
	EXPECT_EQ(-EINVAL, iovad_bounce_sync_for_device(nullptr, pool.last(), 0, 1, IOVAD_TO_DEVICE));
	EXPECT_EQ(-EINVAL, iovad_bounce_stats_get(nullptr, &stats));
	EXPECT_EQ(-EINVAL, iovad_bounce_stats_get(pool, nullptr));
	EXPECT_EQ(-EINVAL, iovad_bounce_verify(nullptr, stderr));
	for (const uint32_t dir : {0u, 4u, IOVAD_TO_DEVICE | IOVAD_BOUNCE_OVERWRITE, 8u})
		EXPECT_EQ(-EINVAL, iovad_bounce_map(pool, &byte, 1, 0, dir, &iova)) << dir;
	for (const uint64_t mask : {uint64_t{2}, uint64_t{5}, 2 * kChunk - 1})
		EXPECT_EQ(-EINVAL, iovad_bounce_map(pool, &byte, 1, mask, IOVAD_TO_DEVICE, &iova)) << mask;
	EXPECT_EQ(0u, pool.stats().maps);
}

TEST_F(BouncePool, WrongUsesAreToldApart)
{
	std::vector<char> data = pattern(3000, 9);
	const rte_iova_t iova = pool.map(data.data(), 3000, IOVAD_FROM_DEVICE);
	const auto unmap = [&](rte_iova_t at, uint64_t len, uint32_t dir, uint32_t flags = 0) {
		return iovad_bounce_unmap(pool, at, len, dir, flags);
	};
	EXPECT_EQ(-ENXIO, unmap(pool.first() - 1, 1, IOVAD_TO_DEVICE));
	EXPECT_EQ(-ENXIO, unmap(pool.last() + 1, 1, IOVAD_TO_DEVICE));
	EXPECT_EQ(-ENOENT, unmap(pool.first(), 1, IOVAD_TO_DEVICE)) << "no memory there";
	EXPECT_EQ(-EFAULT, unmap(iova + 1, 2999, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-EFAULT, unmap(iova + 2048, 1, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-EFAULT, unmap(iova + 3500, 1, IOVAD_FROM_DEVICE)) << "its padding";
	EXPECT_EQ(-EACCES, unmap(iova, 3000, IOVAD_TO_DEVICE));
	EXPECT_EQ(-EACCES, unmap(iova, 3000, IOVAD_BIDIRECTIONAL));
	EXPECT_EQ(-ERANGE, unmap(iova, 2999, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-ERANGE, unmap(iova, 3001, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-EINVAL, unmap(iova, 3000, IOVAD_FROM_DEVICE, 2));
	EXPECT_EQ(-EINVAL, unmap(iova, 3000, 0));
	EXPECT_EQ(-ERANGE, iovad_bounce_sync_for_cpu(pool, iova, 1, 3000, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-ERANGE, iovad_bounce_sync_for_cpu(pool, iova, UINT64_MAX, 2, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-EACCES, iovad_bounce_sync_for_cpu(pool, iova, 0, 1, IOVAD_TO_DEVICE));
	EXPECT_EQ(-EFAULT, iovad_bounce_sync_for_device(pool, iova + 1, 0, 1, IOVAD_FROM_DEVICE));
	EXPECT_EQ(3000u, data.size());
	EXPECT_EQ(4096u, pool.stats().used_bytes) << "nothing of that changed anything";
	pool.unmap(iova, 3000, IOVAD_FROM_DEVICE);
	EXPECT_EQ(-EALREADY, unmap(iova, 3000, IOVAD_FROM_DEVICE));
	EXPECT_EQ(-EALREADY, iovad_bounce_sync_for_cpu(pool, iova, 0, 1, IOVAD_FROM_DEVICE));
}

TEST_F(BouncePool, LongerThanItCanBe)
{
	std::vector<char> data(16 * kChunk + 1);
	rte_iova_t iova;
	EXPECT_EQ(-EMSGSIZE, iovad_bounce_map(pool, data.data(), data.size(), 0, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(-EMSGSIZE, iovad_bounce_map(pool, data.data(), UINT64_MAX, 0, IOVAD_TO_DEVICE, &iova));
	EXPECT_EQ(-EAGAIN, iovad_bounce_map(pool, data.data(), 16 * kChunk, 0, IOVAD_TO_DEVICE, &iova)) << "it could grow";
}

TEST_F(BouncePool, CountsWhatItDoes)
{
	std::vector<char> data(3000);
	const rte_iova_t a = pool.map(data.data(), 3000, IOVAD_TO_DEVICE), b = pool.map(data.data(), 100, IOVAD_FROM_DEVICE);
	iovad_bounce_stats s = pool.stats();
	EXPECT_EQ(8 * kChunk, s.size_bytes);
	EXPECT_EQ(4096u + 2048u, s.used_bytes);
	EXPECT_GE(s.hiwater_bytes, s.used_bytes);
	EXPECT_EQ(2u, s.maps);
	EXPECT_EQ(3100u, s.copied_in_bytes);
	pool.unmap(a, 3000, IOVAD_TO_DEVICE);
	pool.unmap(b, 100, IOVAD_FROM_DEVICE);
	s = pool.stats();
	EXPECT_EQ(0u, s.used_bytes);
	EXPECT_EQ(100u, s.copied_out_bytes);
	EXPECT_EQ(0u, s.misses | s.transient_bytes | s.grows | s.shrinks);
}

TEST_F(BouncePool, VerificationFindsWhatADeviceWroteBesideItsData)
{
	char byte = 1;
	const rte_iova_t iova = pool.map(&byte, 1, IOVAD_FROM_DEVICE);
	EXPECT_EQ(0, iovad_bounce_verify(pool, stderr));
	device.write(iova, {2, 3});
	EXPECT_EQ(-EIO, iovad_bounce_verify(pool, nullptr));
	device.write(iova, {2, 0});
	EXPECT_EQ(0, iovad_bounce_verify(pool, stderr));
	pool.unmap(iova, 1, IOVAD_FROM_DEVICE);
}

// Whatever caches hold: demand within the pool's size is served.
TEST_F(BouncePool, AllOfItCanBeMapped)
{
	Held small(pool, 2048, EAGAIN);
	EXPECT_EQ(8 * kChunk / 2048, small.count());
	small.release(0);
	for (const unsigned lcore : {0u, 1u, 2u, 3u}) {
		const AsLcore as(lcore);
		Held large(pool, 65536, EAGAIN);
		EXPECT_EQ(8 * kChunk / 65536, large.count());
	}
	EXPECT_EQ(5u, pool.stats().misses);
}

TEST_F(BouncePool, AMappedPoolIsNotDestroyed)
{
	std::vector<char> data = pattern(100, 10);
	const rte_iova_t iova = pool.map(data.data(), 100);
	{
		Log log;
		EXPECT_EQ(-EBUSY, iovad_bounce_pool_destroy(pool));
		char text[64];
		std::snprintf(text, sizeof text, "0x%llx, 100 bytes, of %p", static_cast<unsigned long long>(iova),
			      static_cast<void *>(data.data()));
		EXPECT_NE(std::string::npos, log.text().find(text)) << log.text();
	}
	EXPECT_TRUE(data == device.read(iova, 100)) << "it works as before";
	pool.unmap(pool.map(data.data(), 100), 100);
	pool.unmap(iova, 100);
}

TEST_F(BouncePool, ADomainWithPoolsIsNotDestroyed)
{
	Log log;
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(d));
	EXPECT_NE(std::string::npos, log.text().find("bounce pool " + std::string(pool.name()))) << log.text();
	char byte = 0;
	pool.unmap(pool.map(&byte, 1), 1);
}

TEST_F(BouncePool, APortKeepsIt)
{
	ASSERT_EQ(0, eal::hold_bounce_pool(*pool, 7));
	{
		Log log;
		EXPECT_EQ(-EBUSY, iovad_bounce_pool_destroy(pool));
		EXPECT_NE(std::string::npos, log.text().find("port 7")) << log.text();
	}
	eal::release_bounce_pool(*pool, 7);
	eal::release_bounce_pool(*pool, 7);
}

// What was unmapped lazily gives its addresses back where the window needs them.
TEST(BouncePoolLazy, TheWindowWaitsForNothing)
{
	iovad_domain_conf conf = conf_of(kChunk, 5 * kChunk - 1);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.unmap_policy = IOVAD_UNMAP_LAZY;
	const TestDomain d(conf);
	rte_iova_t iova;
	iovad_control_poll();
	ASSERT_EQ(0, iovad_map(d, reinterpret_cast<void *>(0x7f0000000000), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
	ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	const TestPool pool(bounce_conf(d, 0, 4 * kChunk));
	EXPECT_EQ(kChunk, pool.first());
}

TEST(BouncePoolMany, EachInItsWindow)
{
	const TestDomain d(soft_domain_conf()), other(soft_domain_conf());
	const TestPool a(bounce_conf(d)), b(bounce_conf(d)), c(bounce_conf(other));
	EXPECT_TRUE(a.last() < b.first() || b.last() < a.first());
	std::vector<char> data = pattern(100, 11);
	const rte_iova_t iova = a.map(data.data(), 100);
	EXPECT_EQ(-ENXIO, iovad_bounce_unmap(b, iova, 100, IOVAD_BIDIRECTIONAL, 0));
	EXPECT_TRUE(data == Device(d).read(iova, 100));
	a.unmap(iova, 100);
}

// ---- threads ----

// All kinds of them; each finds its own data, and what a thread's cache held comes back when it ends.
TEST_F(BouncePool, Threads)
{
	Crew::run([&](unsigned actor) {
		for (unsigned i = 0; i < 3000; ++i) {
			const uint64_t len = (i * 7919 + actor * 31) % (i % 16 == 0 ? 100'000 : 3000) + 1;
			std::vector<char> data = pattern(len, actor + i);
			const std::vector<char> before = data;
			const rte_iova_t iova = pool.map(data.data(), len);
			ASSERT_TRUE(before == device.read(iova, len));
			std::fill(data.begin(), data.end(), 0);
			pool.unmap(iova, len);
			ASSERT_TRUE(before == data);
		}
	});
	EXPECT_EQ(0u, pool.stats().used_bytes);
	EXPECT_EQ(3000u * Crew::kActors, pool.stats().maps);
}

// ThreadSanitizer does not see that EAL's heap hands memory over in order: there one makes pools.
#ifdef __SANITIZE_THREAD__
constexpr unsigned kMakers = 1;
#else
constexpr unsigned kMakers = Crew::kActors;
#endif

TEST_F(BouncePool, PoolsComeAndGoBesidePasses)
{
	ASSERT_EQ(0, iovad_control_thread_start());
	Crew::run([&](unsigned actor) {
		for (unsigned i = 0; i < 10; ++i) {
			iovad_control_poll();
			eal::for_each_bounce_pool([](iovad_bounce_pool &p) { EXPECT_NE(0u, eal::read_bounce_stats(p).size_bytes); });
			if (actor >= kMakers)
				continue;
			const TestPool own(bounce_conf(d, 0, 4 * kChunk, i % 2 ? IOVAD_BOUNCE_F_TRANSIENT : 0));
			Held held(own, 65536, 0, 20);
			iovad_control_poll();
		}
	});
	EXPECT_EQ(0, iovad_control_thread_stop());
}

}  // namespace
}  // namespace iovad::test
