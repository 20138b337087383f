// SPDX-License-Identifier: BSD-3-Clause
// Threads that map, use, look up and unmap beside each other. Devices are played by the
// software IOMMU: what they reach at an address is checked at every moment.
#include <atomic>
#include <thread>

#include "mapper_fixture.h"
#include "random.h"

namespace iovad::dma {
namespace {

using Counters = core::MappingTable::Counters;

constexpr unsigned kThreads = 4;

void in_threads(const std::function<void(unsigned)> &body)
{
	std::vector<std::thread> threads;
	for (unsigned i = 0; i < kThreads; ++i)
		threads.emplace_back([&, i] { body(i); });
	for (std::thread &t : threads)
		t.join();
}

struct Held {
	uint64_t va, len, iova;
};

// Memory of its own for each thread, in a domain so small that addresses go round.
TEST(MapperThreads, OwnMemoryIsReachedWhileMappedAndNeverAfter)
{
	Rig rig({.last = 4096 * k4K - 1, .records = 4096});
	std::atomic<uint64_t> wrong = 0, late = 0, lost = 0, done = 0;
	in_threads([&](unsigned me) {
		core::Random random(me + 1);
		const uint64_t base = kMemory + me * 64 * k1G;
		std::vector<Held> held;
		for (unsigned i = 0; i < 4000; ++i) {
			if (held.size() < 24 && random.below(2) == 0) {
				Held h{base + random.below(k1G), 1 + random.below(i % 7 ? 3 * k4K : 70 * k4K), 0};
				if (rig.mapper.map(me, at(h.va), h.len, kNoLimit, 3, h.iova).ok())
					held.push_back(h);
			} else if (!held.empty()) {
				std::swap(held[random.below(held.size())], held.back());
				const Held h = held.back();
				held.pop_back();
				lost += !rig.mapper.unmap(me, h.iova, h.len).ok();
				// Another's by now, or nobody's; mine where something of mine shares the page.
				bool shared = false;
				for (const Held &other : held)
					shared |= other.va / k4K <= (h.va + h.len - 1) / k4K && h.va / k4K <= (other.va + other.len - 1) / k4K;
				const auto va = reinterpret_cast<uint64_t>(rig.soft->translate(h.iova, 1, Access::read).va);
				late += !shared && va == h.va;
			}
			for (const Held &h : held) {
				wrong += !rig.reaches(h.iova, h.va, h.len, 3);
				wrong += rig.iova2va(h.iova, h.len) != h.va;
				const uint64_t found = rig.va2iova(h.va);
				wrong += found == 0 || reinterpret_cast<uint64_t>(rig.soft->translate(found, 1, Access::read).va) != h.va;
			}
			done += !held.empty();
		}
		for (const Held &h : held)
			lost += !rig.mapper.unmap(me, h.iova, h.len).ok();
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(0u, late);
	EXPECT_EQ(0u, lost);
	EXPECT_GT(done, 1000u);
	rig.expect_empty();
}

// The same few pages for all: shared, shadowed, kept by who is left.
TEST(MapperThreads, SharedMemoryStaysWhileAnyoneHasIt)
{
	Rig rig({.records = 1024});
	std::atomic<uint64_t> wrong = 0, lost = 0;
	in_threads([&](unsigned me) {
		core::Random random(me + 1);
		std::vector<Held> held;
		for (unsigned i = 0; i < 6000; ++i) {
			if (held.size() < 6 && random.below(2) == 0) {
				Held h{kMemory + random.below(8 * k4K), 1 + random.below(3 * k4K), 0};
				if (rig.mapper.map(me, at(h.va), h.len, kNoLimit, 3, h.iova).ok())
					held.push_back(h);
			} else if (!held.empty()) {
				lost += !rig.mapper.unmap(me, held.back().iova, held.back().len).ok();
				held.pop_back();
			}
			for (const Held &h : held) {
				wrong += !rig.reaches(h.iova, h.va, h.len, 3);
				wrong += rig.iova2va(h.iova, h.len) != h.va;
				wrong += rig.va2iova(h.va) == 0;
			}
		}
		for (const Held &h : held)
			lost += !rig.mapper.unmap(me, h.iova, h.len).ok();
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(0u, lost);
	EXPECT_GT(rig.counted(&Counters::shared), 0u);
	rig.expect_empty();
}

// A region is found at every moment, whatever is mapped around and inside.
TEST(MapperThreads, ARegionIsFoundBesideEverythingElse)
{
	Rig rig({.records = 1024});
	uint64_t region = 0;
	ASSERT_EQ(Status::ok, rig.add_region(kMemory, 4 * k2M, region));
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> missed = 0, looked = 0;
	std::thread reader([&] {
		core::Random random(99);
		while (!stop) {
			const uint64_t offset = random.below(4 * k2M - 100);
			const uint64_t iova = rig.va2iova(kMemory + offset, 100);
			missed += iova == 0 || rig.iova2va(region + offset, 100) != kMemory + offset;
			++looked;
		}
	});
	in_threads([&](unsigned me) {
		core::Random random(me + 1);
		for (unsigned i = 0; i < 1500; ++i) {
			uint64_t iova;
			// Beginning before it, ending after it, around it, inside for a lower limit.
			const Held kinds[] = {{kMemory - k4K, 3 * k4K, 0}, {kMemory + 4 * k2M - k4K, 2 * k4K, 0},
					      {kMemory - k4K, 4 * k2M + 2 * k4K, 0}, {kMemory + 5 * k4K, k4K, 0}};
			const Held &h = kinds[random.below(4)];
			if (rig.mapper.map(me, at(h.va), h.len, kLimit32, 3, iova).ok()) {
				EXPECT_TRUE(rig.mapper.unmap(me, iova, h.len).ok());
			}
			if (i % 16 == 0) {
				EXPECT_TRUE(rig.table.verify(stderr, rig.domain.space()));
			}
		}
	});
	while (looked < 100)
		std::this_thread::yield();
	stop = true;
	reader.join();
	EXPECT_EQ(0u, missed);
	EXPECT_EQ(Status::ok, rig.remove_region(kMemory, 4 * k2M));
	rig.expect_empty();
}

TEST(MapperThreads, RegionsComeAndGoBesideMaps)
{
	Rig rig({.records = 1024});
	std::atomic<uint64_t> wrong = 0;
	in_threads([&](unsigned me) {
		const uint64_t base = kMemory + me * 8 * k2M;
		for (unsigned i = 0; i < 400; ++i) {
			uint64_t region, iova;
			wrong += !rig.mapper.add_region(at(base + 5), 3 * k2M, kNoLimit, 3, region).ok();
			wrong += !rig.reaches(region, base + 5, 3 * k2M, 3);
			wrong += !rig.mapper.map(me, at(base + k4K), k4K, kNoLimit, 3, iova).ok() || iova != region + k4K - 5;
			wrong += rig.mapper.remove_region(at(base + 5), 3 * k2M).status != Status::busy;
			wrong += !rig.mapper.unmap(me, iova, k4K).ok();
			wrong += !rig.mapper.remove_region(at(base + 5), 3 * k2M).ok();
			if (i % 50 == me)
				wrong += !rig.mapper.refresh().ok();
		}
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_EQ(kThreads * 400u, rig.counted(&Counters::maps));
	rig.expect_empty();
}

// Unmaps fail now and then: nothing is lost, nobody else's is reached.
TEST(MapperThreads, WithUnmapsThatFail)
{
	Rig rig({.last = 4096 * k4K - 1, .records = 4096});
	for (uint64_t n = 5; n < 3000; n += 37)
		rig.faulty.fail(Call::unmap, n, kBroken);
	std::atomic<uint64_t> wrong = 0, failed = 0;
	in_threads([&](unsigned me) {
		core::Random random(me + 1);
		for (unsigned i = 0; i < 1500; ++i) {
			Held h{kMemory + me * k1G + random.below(k1G - 8 * k4K), 1 + random.below(4 * k4K), 0};
			if (!rig.mapper.map(me, at(h.va), h.len, kNoLimit, 3, h.iova).ok())
				continue;
			wrong += !rig.reaches(h.iova, h.va, h.len, 3);
			failed += rig.mapper.unmap(me, h.iova, h.len).status == Status::failed;
			if (random.below(40) == 0)
				rig.mapper.make_room(core::kNoLcore);
		}
	});
	EXPECT_EQ(0u, wrong);
	EXPECT_GT(failed, 0u);
	rig.faulty.heal();
	rig.mapper.make_room(core::kNoLcore);
	rig.expect_empty();
}

// What a device finds inside a burst stays mapped to its end: whoever unmaps waits, and
// only then takes the memory back.
TEST(MapperThreads, ABurstUnderWayKeepsItsMemory)
{
	constexpr unsigned kBuffers = 8;
	struct alignas(k4K) Buffer {
		std::atomic<uint64_t> mapped = 0;
	};
	static Buffer buffers[kBuffers];
	Rig rig({.last = 64 * k4K - 1});
	std::atomic<uint64_t> ring = 0, wrong = 0, used = 0;
	std::atomic<bool> stop = false;
	std::thread device([&] {
		Requester requester(*rig.soft);
		for (; !stop; std::this_thread::yield()) {
			const Requester::Burst burst(requester);
			const uint64_t iova = ring.load(std::memory_order_acquire);
			const Translation t = iova ? rig.soft->translate(iova, 8, Access::read) : Translation();
			if (!t)
				continue;  // nothing posted, or unmapped since
			for (int i = 0; i < 20; ++i)
				wrong += static_cast<Buffer *>(t.va)->mapped.load() == 0;
			++used;
		}
	});
	for (unsigned i = 0; i < 500 || (used < 20 && i < 1000000); ++i) {
		Buffer &buffer = buffers[i % kBuffers];
		uint64_t iova = 0;
		buffer.mapped = 1;
		EXPECT_EQ(Status::ok, rig.map(reinterpret_cast<uint64_t>(&buffer), sizeof buffer, iova));
		ring.store(iova, std::memory_order_release);
		if (i % 8 == 0)
			std::this_thread::yield();
		EXPECT_EQ(Status::ok, rig.unmap(iova, sizeof buffer));
		buffer.mapped = 0;
	}
	stop = true;
	device.join();
	EXPECT_EQ(0u, wrong);
	EXPECT_GT(used, 0u);
	rig.expect_empty();
}

}  // namespace
}  // namespace iovad::dma
