// SPDX-License-Identifier: BSD-3-Clause
// What each call promises, one by one. bounce_model_test.cpp has them all at random.
#include <gtest/gtest.h>

#include <algorithm>

#include "bounce_fixture.h"

namespace iovad::core {
namespace {

constexpr uint32_t kTo = kBounceToDevice, kFrom = kBounceFromDevice, kBoth = kBounceBidirectional;

class BounceSlotsTest : public testing::Test {
protected:
	void TearDown() override { EXPECT_TRUE(pool_.slots.verify(stderr)); }

	uint64_t map(void *va, uint64_t len, uint32_t dir, uint64_t mask = 0)
	{
		uint64_t iova = 0;
		EXPECT_EQ(pool_.slots.map(0, va, len, mask, dir, iova), BounceStatus::ok);
		return iova;
	}
	BounceStatus unmap(uint64_t iova, uint64_t len, uint32_t dir, uint32_t flags = 0)
	{
		return pool_.slots.unmap(0, iova, len, dir, flags);
	}

	static constexpr unsigned kChunks = 8, kPresent = 4;
	OwnedBounce pool_{kChunks, kPresent};
	Random random_{1};
	std::vector<std::byte> buffer_ = random_bytes(random_, 6 << 20);
};

TEST_F(BounceSlotsTest, CopiesInWhateverTheDirection)
{
	for (uint32_t dir : {kTo, kFrom, kBoth}) {
		const uint64_t iova = map(buffer_.data(), 1500, dir);
		EXPECT_EQ(std::memcmp(pool_.device(iova), buffer_.data(), 1500), 0);
		EXPECT_EQ(unmap(iova, 1500, dir), BounceStatus::ok);
	}
}

TEST_F(BounceSlotsTest, OverwriteShowsTheDeviceZeros)
{
	const uint64_t first = map(buffer_.data(), 1500, kTo);
	EXPECT_EQ(unmap(first, 1500, kTo), BounceStatus::ok);
	const uint64_t iova = map(buffer_.data(), 1500, kFrom | kBounceOverwrite);
	EXPECT_EQ(iova, first) << "the slot that held other data";
	EXPECT_EQ(pool_.device_bytes(iova, kBounceGranule), std::vector<std::byte>(kBounceGranule));
	EXPECT_EQ(unmap(iova, 1500, kFrom), BounceStatus::ok);
}

TEST_F(BounceSlotsTest, CopiesOutUnlessToldOtherwise)
{
	const std::vector<std::byte> before = buffer_;
	const std::vector<std::byte> written = random_bytes(random_, 100);
	uint64_t iova = map(buffer_.data(), 100, kTo);
	pool_.device_write(iova, written.data(), 100);
	EXPECT_EQ(unmap(iova, 100, kTo), BounceStatus::ok);
	EXPECT_EQ(buffer_, before) << "the device does not write this direction";

	iova = map(buffer_.data(), 100, kFrom);
	pool_.device_write(iova, written.data(), 100);
	EXPECT_EQ(unmap(iova, 100, kFrom, kBounceSkipCopy), BounceStatus::ok);
	EXPECT_EQ(buffer_, before);

	iova = map(buffer_.data(), 100, kFrom);
	pool_.device_write(iova + 10, written.data(), 20);
	EXPECT_EQ(unmap(iova, 100, kFrom), BounceStatus::ok);
	EXPECT_EQ(std::memcmp(buffer_.data() + 10, written.data(), 20), 0);
	EXPECT_EQ(std::memcmp(buffer_.data() + 30, before.data() + 30, 100), 0) << "the rest is as it was";
}

TEST_F(BounceSlotsTest, SlotsAreAsLongAsTheHeaderSays)
{
	struct {
		uint64_t len, slot;
	} const cases[] = {{1, 2048},         {2048, 2048},       {2049, 4096},        {5000, 8192},
			   {65536, 65536},    {65537, 131072},    {131072, 131072},    {131073, 133120},
			   {1 << 20, 1 << 20}, {2 << 20, 2 << 20}, {(2 << 20) + 1, (2 << 20) + 2048}, {5 << 20, 5 << 20}};
	for (const auto &c : cases) {
		const uint64_t iova = map(buffer_.data(), c.len, kBoth);
		const OwnedBounce::Span slot = pool_.slot_of(iova);
		EXPECT_EQ(slot.end - slot.begin, c.slot) << c.len;
		EXPECT_EQ(slot.begin % std::min(std::bit_ceil(c.len), kChunkBytes), 0u);
		EXPECT_EQ(pool_.slots.stats().used_bytes, c.slot);
		EXPECT_EQ(pool_.device_bytes(iova, c.len), std::vector(buffer_.data(), buffer_.data() + c.len));
		EXPECT_EQ(unmap(iova, c.len, kBoth), BounceStatus::ok);
	}
	EXPECT_EQ(pool_.slots.stats().used_bytes, 0u);
}

TEST_F(BounceSlotsTest, KeepsLowAddressBits)
{
	for (uint64_t mask = 0; mask < kChunkBytes; mask = 2 * mask + 1) {
		for (uint64_t len : {uint64_t{1}, uint64_t{1500}, uint64_t{4096}, uint64_t{200000}, uint64_t{1} << 20}) {
			std::byte *va = buffer_.data() + random_.below(3 << 20);
			const uint64_t iova = map(va, len, kFrom, mask);
			EXPECT_EQ(iova & mask, reinterpret_cast<uintptr_t>(va) & mask);
			EXPECT_TRUE(pool_.padding_is_zero(iova, len));
			EXPECT_TRUE(pool_.slots.verify(stderr));
			EXPECT_EQ(unmap(iova, len, kFrom), BounceStatus::ok);
		}
	}
}

TEST_F(BounceSlotsTest, SyncsAnyPart)
{
	for (uint64_t len : {uint64_t{1500}, uint64_t{5} << 20}) {
		const uint64_t iova = map(buffer_.data(), len, kBoth);
		const uint64_t off = len / 3, part = len / 2;
		const std::vector<std::byte> written = random_bytes(random_, part);
		pool_.device_write(iova + off, written.data(), part);
		EXPECT_EQ(pool_.slots.sync_for_cpu(0, iova, off, part, kBoth), BounceStatus::ok);
		EXPECT_EQ(std::memcmp(buffer_.data() + off, written.data(), part), 0);
		std::memset(buffer_.data() + off + 1, 7, part - 1);
		EXPECT_EQ(pool_.slots.sync_for_device(0, iova, off + 1, part - 1, kBoth), BounceStatus::ok);
		EXPECT_EQ(pool_.device_bytes(iova, len), std::vector(buffer_.data(), buffer_.data() + len));
		EXPECT_EQ(unmap(iova, len, kBoth), BounceStatus::ok);
	}
}

TEST_F(BounceSlotsTest, SyncDoesNothingAgainstTheDirection)
{
	const std::vector<std::byte> before = buffer_;
	const uint64_t to = map(buffer_.data(), 64, kTo), from = map(buffer_.data(), 64, kFrom);
	*pool_.device(to) = ~buffer_[0];
	EXPECT_EQ(pool_.slots.sync_for_cpu(0, to, 0, 64, kTo), BounceStatus::ok);
	EXPECT_EQ(buffer_, before);
	*pool_.device(from) = ~buffer_[0];
	EXPECT_EQ(pool_.slots.sync_for_device(0, from, 0, 64, kFrom), BounceStatus::ok);
	EXPECT_EQ(*pool_.device(from), ~buffer_[0]);
	EXPECT_EQ(unmap(to, 64, kTo), BounceStatus::ok);
	EXPECT_EQ(unmap(from, 64, kFrom, kBounceSkipCopy), BounceStatus::ok);
}

TEST_F(BounceSlotsTest, RefusesWhatCannotBeMapped)
{
	uint64_t iova = 1;
	const auto map_of = [&](void *va, uint64_t len, uint64_t mask, uint32_t dir) {
		return pool_.slots.map(0, va, len, mask, dir, iova);
	};
	EXPECT_EQ(map_of(nullptr, 1, 0, kTo), BounceStatus::invalid);
	EXPECT_EQ(map_of(buffer_.data(), 0, 0, kTo), BounceStatus::invalid);
	EXPECT_EQ(map_of(buffer_.data(), 1, 2, kTo), BounceStatus::invalid);
	EXPECT_EQ(map_of(buffer_.data(), 1, 4 * kChunkBytes - 1, kTo), BounceStatus::invalid);
	EXPECT_EQ(map_of(buffer_.data(), 1, ~uint64_t{0}, kTo), BounceStatus::invalid);
	for (uint32_t dir : {0u, 4u, kTo | kBounceOverwrite, kBoth | kBounceOverwrite, 8u, ~0u})
		EXPECT_EQ(map_of(buffer_.data(), 1, 0, dir), BounceStatus::invalid) << dir;
	EXPECT_EQ(map_of(buffer_.data(), kChunks * kChunkBytes + 1, 0, kTo), BounceStatus::too_long);
	EXPECT_EQ(map_of(buffer_.data(), ~uint64_t{0}, 0, kTo), BounceStatus::too_long);
	EXPECT_EQ(map_of(buffer_.data(), kChunks * kChunkBytes, 0, kTo), BounceStatus::again) << "it can grow so far";
	EXPECT_EQ(iova, 1u);
	EXPECT_EQ(pool_.slots.stats().maps, 0u);
}

TEST_F(BounceSlotsTest, TellsWrongUsesApart)
{
	BounceSlots &s = pool_.slots;
	std::byte *va = buffer_.data() + 4096 + 100 - reinterpret_cast<uintptr_t>(buffer_.data()) % 4096;
	const uint64_t iova = map(va, 1500, kFrom, 4095), big = map(buffer_.data(), 5 << 20, kFrom);
	const std::vector<std::byte> before = buffer_;
	std::memset(pool_.device(iova), 1, 1500);
	const auto all = [&](uint64_t at, uint64_t len, uint32_t dir, BounceStatus status) {
		EXPECT_EQ(s.unmap(0, at, len, dir, 0), status) << std::hex << at;
		EXPECT_EQ(s.sync_for_cpu(0, at, 0, len, dir), status);
		EXPECT_EQ(s.sync_for_device(0, at, 0, len, dir), status);
	};
	all(iova, 0, kFrom, BounceStatus::invalid);
	all(iova, 1500, 0, BounceStatus::invalid);
	all(iova, 1500, kFrom | kBounceOverwrite, BounceStatus::invalid);
	EXPECT_EQ(unmap(iova, 1500, kFrom, 2), BounceStatus::invalid);
	all(OwnedBounce::kBase - 1, 1500, kFrom, BounceStatus::not_of_pool);
	all(OwnedBounce::kBase + kChunks * kChunkBytes, 1500, kFrom, BounceStatus::not_of_pool);
	all(0, 1500, kFrom, BounceStatus::not_of_pool);
	all(~uint64_t{0}, 1500, kFrom, BounceStatus::not_of_pool);
	all(OwnedBounce::kBase, 1500, kFrom, BounceStatus::not_mapped);  // no chunk ever was there
	all(big - 2048, 1500, kFrom, BounceStatus::not_mapped);
	all(iova + 1, 1500, kFrom, BounceStatus::inside);
	all(iova - 1, 1500, kFrom, BounceStatus::inside);
	all(iova + 1500, 1500, kFrom, BounceStatus::inside);
	all(iova + 2048, 1500, kFrom, BounceStatus::inside);
	all(big + (3 << 20), 5 << 20, kFrom, BounceStatus::inside);
	all(iova, 1500, kTo, BounceStatus::wrong_direction);
	all(iova, 1500, kBoth, BounceStatus::wrong_direction);
	all(iova, 1501, kFrom, BounceStatus::wrong_length);
	all(iova, 1500 + (uint64_t{1} << 48), kFrom, BounceStatus::wrong_length);
	EXPECT_EQ(unmap(iova, 1499, kFrom), BounceStatus::wrong_length);
	EXPECT_EQ(s.sync_for_cpu(0, iova, 1, 1500, kFrom), BounceStatus::wrong_length);
	EXPECT_EQ(s.sync_for_cpu(0, iova, ~uint64_t{0}, 2, kFrom), BounceStatus::wrong_length);
	EXPECT_EQ(s.sync_for_cpu(0, iova, 1500, 1, kFrom), BounceStatus::wrong_length);
	EXPECT_EQ(buffer_, before);
	EXPECT_EQ(unmap(iova, 1500, kFrom, kBounceSkipCopy), BounceStatus::ok);
	EXPECT_EQ(unmap(big, 5 << 20, kFrom), BounceStatus::ok);
	all(iova, 1500, kFrom, BounceStatus::already);
	all(big, 5 << 20, kFrom, BounceStatus::already);
	all(iova + 1, 1500, kFrom, BounceStatus::not_mapped);
	EXPECT_EQ(s.stats().unmaps, 2u);
}

// The slot in a magazine is live in the slot space.
TEST_F(BounceSlotsTest, PaddingIsZeroWhateverWasThere)
{
	const uint64_t lengths[] = {2048, 64, 1500, 1, 2047, 4096, 2049, 131072, 65537, 5000, 200000, 1 << 20, 150000, 64};
	for (int round = 0; round < 3; ++round) {
		for (uint64_t len : lengths) {
			for (uint32_t dir : {kTo, kFrom, kFrom | kBounceOverwrite}) {
				const uint64_t skew = random_.below(4096);
				const uint64_t iova = map(buffer_.data() + skew, len, dir, round == 1 ? 4095 : 0);
				EXPECT_TRUE(pool_.padding_is_zero(iova, len)) << len;
				// The device fills all that it may.
				if (dir & kFrom)
					pool_.device_write(iova, random_bytes(random_, len).data(), len);
				EXPECT_EQ(unmap(iova, len, dir & kBoth), BounceStatus::ok);
			}
		}
	}
}

TEST_F(BounceSlotsTest, WhatTheDeviceWritesToPaddingReachesNobody)
{
	const std::vector<std::byte> noise(kBounceGranule, std::byte{0xee});
	const std::vector<std::byte> before = buffer_;
	const uint64_t iova = map(buffer_.data() + 50, 100, kFrom);
	pool_.device_write(iova + 100, noise.data(), kBounceGranule - 100);
	EXPECT_EQ(unmap(iova, 100, kFrom), BounceStatus::ok);
	EXPECT_EQ(buffer_, before);
	EXPECT_FALSE(pool_.slots.verify(nullptr)) << "and verify() says so";
	std::memset(pool_.device(iova) + 100, 0, kBounceGranule - 100);
}

TEST_F(BounceSlotsTest, SlotsDoNotOverlapAndLimitsAreTold)
{
	std::vector<uint64_t> mapped;
	uint64_t iova;
	while (pool_.slots.map(0, buffer_.data(), 1500, 0, kTo, iova) == BounceStatus::ok)
		mapped.push_back(iova);
	EXPECT_EQ(mapped.size(), kPresent * kChunkGranules) << "all there is";
	std::sort(mapped.begin(), mapped.end());
	EXPECT_EQ(std::adjacent_find(mapped.begin(), mapped.end()), mapped.end());
	EXPECT_EQ(pool_.slots.map(0, buffer_.data(), 1500, 0, kTo, iova), BounceStatus::again);
	EXPECT_EQ(pool_.slots.take_wanted(), 2048u);
	EXPECT_EQ(pool_.slots.take_wanted(), 0u);
	for (unsigned i = 0; i < kChunks - kPresent; ++i)
		ASSERT_EQ(pool_.add(i), Status::ok);
	while (pool_.slots.map(kNoLcore, buffer_.data(), 1500, 0, kTo, iova) == BounceStatus::ok)
		mapped.push_back(iova);
	EXPECT_EQ(mapped.size(), kChunks * kChunkGranules);
	EXPECT_EQ(pool_.slots.map(1, buffer_.data(), 200000, 0, kTo, iova), BounceStatus::no_space);
	EXPECT_EQ(pool_.slots.take_wanted(), 98 * kBounceGranule);
	const BounceStats s = pool_.slots.stats();
	EXPECT_EQ(s.used_bytes, s.size_bytes);
	EXPECT_EQ(s.hiwater_bytes, s.size_bytes);
	EXPECT_EQ(s.misses, 4u);
	EXPECT_EQ(s.refused, 4u);
	for (uint64_t m : mapped)
		EXPECT_EQ(unmap(m, 1500, kTo), BounceStatus::ok);
	// What caches hold is had, too.
	const uint64_t whole = map(buffer_.data(), 5 << 20, kTo);
	EXPECT_EQ(unmap(whole, 5 << 20, kTo), BounceStatus::ok);
}

TEST_F(BounceSlotsTest, CountsWhatItDoes)
{
	const uint64_t a = map(buffer_.data(), 100, kFrom), b = map(buffer_.data(), 3000, kFrom | kBounceOverwrite);
	uint64_t c = 0;
	EXPECT_EQ(pool_.slots.map(kNoLcore, buffer_.data(), 64, 0, kTo, c), BounceStatus::ok);
	BounceStats s = pool_.slots.stats();
	EXPECT_EQ(s.maps, 3u);
	EXPECT_EQ(s.copied_in_bytes, 164u);
	EXPECT_EQ(s.used_bytes, 2048u + 4096 + 2048);
	EXPECT_EQ(pool_.slots.sync_for_cpu(kNoLcore, a, 10, 20, kFrom), BounceStatus::ok);
	EXPECT_EQ(unmap(a, 100, kFrom), BounceStatus::ok);
	EXPECT_EQ(unmap(b, 3000, kFrom, kBounceSkipCopy), BounceStatus::ok);
	EXPECT_EQ(pool_.slots.unmap(kNoLcore, c, 64, kTo, 0), BounceStatus::ok);
	s = pool_.slots.stats();
	EXPECT_EQ(s.unmaps, 3u);
	EXPECT_EQ(s.copied_out_bytes, 120u);
	EXPECT_EQ(s.used_bytes, 0u);
	EXPECT_GE(s.out_bytes, 2048u) << "in caches";
	EXPECT_GE(pool_.slots.take_peak(), s.out_bytes);
	pool_.slots.domain().reclaim();
	EXPECT_EQ(pool_.slots.out_bytes(), 0u);
	pool_.slots.take_peak();
	EXPECT_EQ(pool_.slots.take_peak(), 0u);
	EXPECT_EQ(pool_.slots.stats().hiwater_bytes, s.hiwater_bytes) << "ever";
}

TEST_F(BounceSlotsTest, EnumeratesMappings)
{
	const uint64_t a = map(buffer_.data() + 5, 100, kFrom, 4095), b = map(buffer_.data(), 3 << 20, kTo);
	unsigned n = 0;
	pool_.slots.for_each_mapping([&](uint64_t iova, uint64_t len, uint32_t dir, void *va) {
		++n;
		EXPECT_TRUE((iova == a && len == 100 && dir == kFrom && va == buffer_.data() + 5) ||
			    (iova == b && len == 3 << 20 && dir == kTo && va == buffer_.data()));
	});
	EXPECT_EQ(n, 2u);
	EXPECT_EQ(unmap(a, 100, kFrom), BounceStatus::ok);
	EXPECT_EQ(unmap(b, 3 << 20, kTo), BounceStatus::ok);
}

TEST_F(BounceSlotsTest, ServesBelowAndAcross4GiB)
{
	for (uint64_t base : {kChunkBytes, k4GiB - kChunkBytes}) {
		OwnedBounce low(OwnedBounce::config(2, base));
		EXPECT_EQ(low.add(0), Status::ok);
		EXPECT_EQ(low.add(1), Status::ok);
		std::vector<uint64_t> mapped;
		uint64_t iova;
		while (low.slots.map(0, buffer_.data(), 1500, 0, kTo, iova) == BounceStatus::ok)
			mapped.push_back(iova);
		EXPECT_EQ(mapped.size(), 2 * kChunkGranules);
		EXPECT_TRUE(low.slots.verify(stderr));
		// From this lcore's cache, wherever they lie.
		const uint64_t reclaims = low.slots.domain().stats().reclaims;
		for (const uint64_t m : {base, base + kChunkBytes}) {
			EXPECT_EQ(low.slots.unmap(0, m, 1500, kTo, 0), BounceStatus::ok);
			EXPECT_EQ(low.slots.map(0, buffer_.data(), 1500, 0, kTo, iova), BounceStatus::ok);
			EXPECT_EQ(iova, m);
		}
		EXPECT_EQ(low.slots.domain().stats().reclaims, reclaims);
		for (uint64_t m : mapped)
			EXPECT_EQ(low.slots.unmap(0, m, 1500, kTo, 0), BounceStatus::ok);
		EXPECT_EQ(low.slots.map(0, buffer_.data(), 4 << 20, 0, kTo, iova), BounceStatus::ok);
		EXPECT_EQ(low.slots.unmap(0, iova, 4 << 20, kTo, 0), BounceStatus::ok);
		EXPECT_TRUE(low.slots.verify(stderr));
	}
}

TEST(BounceWindowTest, MayEndWhere64BitsDo)
{
	OwnedBounce pool(OwnedBounce::config(4, 0 - 4 * kChunkBytes));
	for (unsigned i = 4; i-- != 0;)
		ASSERT_EQ(pool.add(i), Status::ok);
	Random random(1);
	std::vector<std::byte> buffer = random_bytes(random, 3 * kChunkBytes);
	for (const uint64_t len : {uint64_t{1}, kBounceGranule, 64 * kBounceGranule, kChunkBytes, 3 * kChunkBytes}) {
		uint64_t iova;
		ASSERT_EQ(pool.slots.map(0, buffer.data(), len, 0, kBoth, iova), BounceStatus::ok);
		EXPECT_EQ(pool.device_bytes(iova, len), std::vector(buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(len)));
		EXPECT_TRUE(pool.slots.verify(stderr));
		EXPECT_EQ(pool.slots.unmap(0, iova, len, kBoth, 0), BounceStatus::ok);
	}
	EXPECT_TRUE(pool.slots.verify(stderr));
	for (unsigned i = 0; i < 4; ++i)
		EXPECT_EQ(pool.remove(i), Status::ok);
	EXPECT_TRUE(pool.slots.verify(stderr));
}

}  // namespace
}  // namespace iovad::core
