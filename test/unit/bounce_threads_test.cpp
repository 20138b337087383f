// SPDX-License-Identifier: BSD-3-Clause
// Many threads in one pool, with and without an lcore, while chunks come and go. Each thread is also
// the device of its mappings, and sees whether anybody else wrote there.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "bounce_fixture.h"

namespace iovad::core {
namespace {

struct Load {
	const char *name;
	unsigned chunks, lcores, plain;
	size_t held_each;
	uint64_t longest, mask;  // mask: of a quarter of the mappings
	int steps;
	bool control;  // chunks come and go beside
};

// One thread and its mappings.
class BounceWorker {
public:
	BounceWorker(OwnedBounce &pool, unsigned lcore, uint64_t seed, const Load &load)
		: pool_(pool), lcore_(lcore), random_(seed), load_(load)
	{
	}

	void run(int steps)
	{
		for (int i = 0; i < steps; ++i) {
			if (held_.size() < load_.held_each && random_.below(100) < 52)
				map();
			else if (!held_.empty())
				unmap();
		}
		while (!held_.empty())
			unmap();
	}
	uint64_t maps = 0, refused = 0, wrong = 0;

private:
	struct Held {
		std::vector<std::byte> memory;
		uint64_t iova;
		uint32_t dir;
		std::byte pattern;
	};

	bool device_has(const Held &h, std::byte pattern)
	{
		return all_are(pool_.device_bytes(h.iova, h.memory.size()), pattern);
	}
	void map()
	{
		const uint64_t kinds[] = {2048, std::min<uint64_t>(load_.longest, 65536), load_.longest};
		const uint64_t kind = random_.below(256);
		const uint64_t len = 1 + random_.below(kinds[(kind < 32) + (kind == 0)]);
		const auto pattern = static_cast<std::byte>(1 + random_.below(255));
		Held h = {std::vector<std::byte>(len, pattern), 0, 1 + static_cast<uint32_t>(random_.below(3)), pattern};
		const BounceStatus status =
			pool_.slots.map(lcore_, h.memory.data(), len, random_.below(4) ? 0 : load_.mask, h.dir, h.iova);
		if (status != BounceStatus::ok) {
			++(status == BounceStatus::again || status == BounceStatus::no_space ? refused : wrong);
			return;
		}
		++maps;
		wrong += !device_has(h, h.pattern) || !pool_.padding_is_zero(h.iova, len);
		held_.push_back(std::move(h));
	}
	void unmap()
	{
		std::swap(held_[random_.below(held_.size())], held_.back());
		Held &h = held_.back();
		const uint64_t len = h.memory.size();
		wrong += !device_has(h, h.pattern);
		wrong += pool_.slots.unmap(lcore_, h.iova + 1, len, h.dir, 0) != BounceStatus::inside && len % kBounceGranule != 0;
		wrong += pool_.slots.unmap(lcore_, h.iova, len + 1, h.dir, 0) != BounceStatus::wrong_length;
		if (h.dir != kBounceToDevice) {
			h.pattern = ~h.pattern;
			const std::vector<std::byte> written(len, h.pattern);
			pool_.device_write(h.iova, written.data(), len);
		}
		wrong += pool_.slots.unmap(lcore_, h.iova, len, h.dir, 0) != BounceStatus::ok;
		wrong += !all_are(h.memory, h.pattern);
		held_.pop_back();
	}

	OwnedBounce &pool_;
	unsigned lcore_;
	Random random_;
	const Load &load_;
	std::vector<Held> held_;
};

class BounceThreadsTest : public testing::TestWithParam<Load> {};

// A control lcore's passes, at random.
uint64_t control(OwnedBounce &pool, Random &random)
{
	const auto index = static_cast<unsigned>(random.below(pool.slots.chunks()));
	switch (random.below(8)) {
	case 0 ... 2: return pool.add(index, random.below(2) ? ChunkState::serving : ChunkState::standby) == Status::again;
	case 3 ... 4: return pool.remove(index) == Status::again;
	case 5: pool.slots.serve_chunk(index); break;
	case 6: pool.slots.take_peak(); break;
	default:
		pool.slots.end_period();
		pool.slots.trim(4);
		pool.slots.stats();
		pool.slots.take_wanted();
	}
	return 0;
}

TEST_P(BounceThreadsTest, NobodyGetsWhatIsAnothers)
{
	const Load &load = GetParam();
	OwnedBounce pool(load.chunks, load.chunks);
	std::vector<std::unique_ptr<BounceWorker>> workers;
	for (unsigned i = 0; i < load.lcores + load.plain; ++i) {
		workers.push_back(std::make_unique<BounceWorker>(pool, i < load.lcores ? i : kNoLcore, i, load));
	}
	std::atomic<size_t> running = workers.size();
	std::vector<std::thread> threads;
	for (auto &worker : workers) {
		threads.emplace_back([&] {
			worker->run(load.steps);
			--running;
		});
	}
	Random random(99);
	uint64_t passes = 0, wrong = 0, maps = 0, refused = 0;
	while (load.control && running != 0) {
		wrong += control(pool, random);
		++passes;
		std::this_thread::yield();
	}
	for (size_t i = 0; i < threads.size(); ++i) {
		threads[i].join();
		wrong += workers[i]->wrong;
		maps += workers[i]->maps;
		refused += workers[i]->refused;
	}
	EXPECT_EQ(wrong, 0u);
	EXPECT_EQ(passes > 0, load.control);
	EXPECT_TRUE(pool.slots.verify(stderr));
	const BounceStats s = pool.slots.stats();
	EXPECT_EQ(s.maps, maps);
	EXPECT_EQ(s.unmaps, maps);
	EXPECT_EQ(s.used_bytes, 0u);
	EXPECT_EQ(s.refused, refused);
	if (!load.control) {
		EXPECT_EQ(refused, 0u) << "demand is within capacity";
	}
	pool.slots.domain().reclaim();
	EXPECT_EQ(pool.slots.out_bytes(), 0u);
}

// Tight: what all hold together is all there is but 2 slots.
INSTANTIATE_TEST_SUITE_P(Loads, BounceThreadsTest,
			 testing::Values(Load{"Roomy", 16, 4, 2, 50, 60000, 4095, 10000, false},
					 Load{"Tight", 2, 4, 2, 341, 2048, 0, 20000, false},
					 Load{"ComesAndGoes", 6, 3, 2, 60, 3 << 20, 4095, 10000, true},
					 Load{"ComesAndGoesSmall", 3, 3, 2, 400, 4096, 4095, 20000, true}),
			 [](const auto &p) { return p.param.name; });

}  // namespace
}  // namespace iovad::core
