// SPDX-License-Identifier: BSD-3-Clause
// Translating while others map and unmap: a translation is a fault or it is right. What
// is mapped comes and goes at all sizes of pages, so that tables change their place and
// their level all the time. More threads than CPUs, so that some are off the CPU in the
// middle of a walk.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "random.h"
#include "soft_fixture.h"

namespace iovad::dma {
namespace {

using core::Random;

// Memory says which address it is mapped at: its low 40 bits.
constexpr uint64_t kLow = (uint64_t{1} << 40) - 1;
constexpr uint64_t va_of(uint64_t iova, uint64_t variant)
{
	return uint64_t{1} << 46 | variant << 40 | iova;
}

class Churn {
public:
	Churn(SoftIommu &soft, uint64_t first, uint64_t seed) : soft_(soft), first_(first), random_(seed) {}

	// A mapping of its own 4 GiB comes and another goes.
	void step()
	{
		const uint64_t sizes[] = {k4K, k4K, 3 * k4K, k2M, 2 * k2M, k1G};
		const uint64_t len = sizes[random_.below(6)];
		const uint64_t align = len >= k1G ? k1G : len >= k2M ? k2M : k4K;
		// Few places, so that readers find them.
		const uint64_t iova =
			first_ + ((random_.below(4) * k1G + random_.below(4) * k2M + random_.below(4) * k4K) & -align);
		const Outcome outcome = soft_.map(iova, at(va_of(iova, random_.below(16))), len, kBidirectional);
		if (outcome.ok())
			mapped_.emplace_back(iova, len);
		wrong += !outcome.ok() && outcome.status != Status::exists;
		if (mapped_.size() > 3 || (!outcome.ok() && !mapped_.empty()))
			take_back();
	}
	void empty()
	{
		while (!mapped_.empty())
			take_back();
	}
	uint64_t wrong = 0, unmaps = 0;

private:
	void take_back()
	{
		std::swap(mapped_[random_.below(mapped_.size())], mapped_.back());
		wrong += !soft_.unmap(mapped_.back().first, mapped_.back().second).ok();
		mapped_.pop_back();
		++unmaps;
	}

	SoftIommu &soft_;
	uint64_t first_;
	Random random_;
	std::vector<std::pair<uint64_t, uint64_t>> mapped_;
};

struct Reader {
	void run(SoftIommu &soft, uint64_t windows, const std::atomic<bool> &done, uint64_t seed)
	{
		Random random(seed);
		while (!done.load(std::memory_order_relaxed)) {
			const uint64_t iova = (1 + random.below(windows)) * 4 * k1G + random.below(4) * k1G +
					      random.below(5) * k2M + random.below(5) * k4K + random.below(k4K);
			const Translation t = soft.translate(iova, 1 + random.below(2048), Access::write);
			const uint64_t va = reinterpret_cast<uintptr_t>(t.va);
			if (t)
				(va >> 44 == 4 && (va & kLow) == iova ? right : wrong)++;
			else
				++faults;
		}
	}
	uint64_t right = 0, wrong = 0, faults = 0;
};

TEST(SoftThreadsTest, ATranslationIsAFaultOrRight)
{
	constexpr unsigned kWriters = 2, kReaders = 3;
	constexpr int kSteps = 300000;
	const auto soft = make_soft();
	std::atomic<bool> done = false;
	std::atomic<unsigned> running = kWriters;
	std::vector<Churn> churns;
	std::vector<Reader> readers(kReaders);
	for (unsigned w = 0; w < kWriters; ++w)
		churns.emplace_back(*soft, (1 + w) * 4 * k1G, 7 + w);
	std::vector<std::thread> threads;
	for (unsigned r = 0; r < kReaders; ++r)
		threads.emplace_back([&, r] { readers[r].run(*soft, kWriters, done, 100 + r); });
	for (Churn &churn : churns) {
		threads.emplace_back([&] {
			for (int i = 0; i < kSteps; ++i)
				churn.step();
			churn.empty();
			if (--running == 0)
				done = true;
		});
	}
	// Counting all there is goes on beside it.
	while (!done)
		EXPECT_TRUE(soft->verify(stderr));
	for (std::thread &t : threads)
		t.join();
	uint64_t right = 0, faults = 0;
	for (const Reader &reader : readers) {
		EXPECT_EQ(reader.wrong, 0u);
		right += reader.right;
		faults += reader.faults;
	}
	EXPECT_GT(right, 1000u);
	EXPECT_GT(faults, 1000u);
	EXPECT_EQ(soft->fault_count(), faults);
	uint64_t unmaps = 0;
	for (const Churn &churn : churns) {
		EXPECT_EQ(churn.wrong, 0u);
		unmaps += churn.unmaps;
	}
	EXPECT_TRUE(soft->verify(stderr));
	const SoftStats stats = soft->stats();
	EXPECT_EQ(stats.mappings, 0u);
	EXPECT_EQ(stats.tables, 1u);
	EXPECT_EQ(stats.flushes, unmaps);
}

// Mappings that stay translate at every moment, whatever happens beside them.
TEST(SoftThreadsTest, WhatStaysMappedNeverFaults)
{
	constexpr unsigned kReaders = 3;
	constexpr int kSteps = 300000;
	const auto soft = make_soft();
	std::vector<uint64_t> stay;
	for (uint64_t i = 0; i < 4; ++i) {
		// In tables that the churn fills and empties.
		for (uint64_t iova : {4 * k1G + i * k1G + 6 * k2M, 4 * k1G + i * k1G + 9 * k4K}) {
			ASSERT_TRUE(soft->map(iova, at(va_of(iova, 1)), k4K, kToDevice).ok());
			stay.push_back(iova);
		}
	}
	std::atomic<bool> done = false;
	std::atomic<uint64_t> wrong = 0;
	std::vector<std::thread> threads;
	for (unsigned r = 0; r < kReaders; ++r) {
		threads.emplace_back([&, r] {
			Random random(r);
			while (!done.load(std::memory_order_relaxed)) {
				const uint64_t iova = stay[random.below(stay.size())] + random.below(2048);
				wrong += soft->translate(iova, 2048, Access::read).va != at(va_of(iova, 1));
			}
		});
	}
	Churn churn(*soft, 4 * k1G, 5);
	for (int i = 0; i < kSteps; ++i)
		churn.step();
	churn.empty();
	done = true;
	for (std::thread &t : threads)
		t.join();
	EXPECT_EQ(wrong, 0u);
	EXPECT_EQ(soft->fault_count(), 0u);
	EXPECT_TRUE(soft->verify(stderr));
}

}  // namespace
}  // namespace iovad::dma
