// SPDX-License-Identifier: BSD-3-Clause
// Random use against a model, byte by byte. The test is the device: it reads and writes slots at random.
// The model has for each mapping what the caller's memory and the device's copy must hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "bounce_fixture.h"

namespace iovad::core {
namespace {

class BounceModel {
public:
	explicit BounceModel(uint64_t seed) : random_(seed), pool_(kChunks, 2) {}

	void step()
	{
		switch (random_.below(16)) {
		case 0 ... 3: map(); break;
		case 4 ... 6: unmap(); break;
		case 7: device_writes(); break;
		case 8: caller_writes(); break;
		case 9 ... 10: sync_for_cpu(); break;
		case 11: sync_for_device(); break;
		case 12: compare(); break;
		case 13 ... 14: wrong_use(); break;
		default: chunk();
		}
	}
	void finish()
	{
		while (!live_.empty())
			unmap();
		pool_.slots.domain().reclaim();
		EXPECT_EQ(pool_.slots.out_bytes(), 0u);
		check();
	}
	void check()
	{
		ASSERT_TRUE(pool_.slots.verify(stderr));
		const BounceStats s = pool_.slots.stats();
		ASSERT_EQ(s.maps, maps_);
		ASSERT_EQ(s.maps - s.unmaps, live_.size());
		ASSERT_EQ(s.copied_in_bytes, copied_in_);
		ASSERT_EQ(s.copied_out_bytes, copied_out_);
		size_t seen = 0;
		pool_.slots.for_each_mapping([&](uint64_t iova, uint64_t len, uint32_t dir, void *va) {
			const auto it = live_.find(iova);
			++seen;
			EXPECT_TRUE(it != live_.end() && it->second.len == len && it->second.dir == dir && it->second.va() == va);
		});
		ASSERT_EQ(seen, live_.size());
	}
	uint64_t refused() const { return refused_; }

private:
	static constexpr unsigned kChunks = 6, kLcores = 3;
	static constexpr uint64_t kEnd = OwnedBounce::kBase + kChunks * kChunkBytes;

	struct Mapping {
		std::vector<std::byte> memory;    // with something before it and behind
		uint64_t skew, len;
		uint32_t dir;
		std::vector<std::byte> expected;  // as memory
		std::vector<std::byte> device;    // len bytes
		OwnedBounce::Span slot;

		std::byte *va() { return memory.data() + skew; }
		std::byte *expected_va() { return expected.data() + skew; }
	};
	using Live = std::map<uint64_t, Mapping>;

	// Mostly an lcore.
	unsigned lcore()
	{
		const auto n = static_cast<unsigned>(random_.below(kLcores + 1));
		return n == kLcores ? kNoLcore : n;
	}
	uint64_t length()
	{
		const uint64_t kinds[] = {64, 2048, 2049, 9000, 70000, 140000, kChunkBytes + 1, 5 << 20};
		const uint64_t most = kinds[random_.below(random_.below(8) ? 5 : 8)];
		return random_.below(4) ? 1 + random_.below(most) : most;
	}
	Live::iterator any() { return std::next(live_.begin(), static_cast<long>(random_.below(live_.size()))); }
	// A part of n bytes, not empty.
	void part(uint64_t n, uint64_t &off, uint64_t &len)
	{
		off = random_.below(n);
		len = 1 + random_.below(random_.below(2) ? n - off : std::min<uint64_t>(n - off, 64));
	}

	void map()
	{
		if (live_.size() > 400)
			return;
		Mapping m;
		m.len = length();
		m.skew = 16 + random_.below(4096);
		m.memory = random_bytes(random_, m.skew + m.len + 16);
		m.expected = m.memory;
		m.dir = 1 + static_cast<uint32_t>(random_.below(3));
		const uint32_t overwrite = m.dir == kBounceFromDevice && random_.below(2) ? kBounceOverwrite : 0;
		const uint64_t mask = random_.below(3) ? 0 : (uint64_t{1} << random_.below(random_.below(3) ? 13 : 22)) - 1;
		uint64_t iova = ~uint64_t{0};
		const BounceStatus status = pool_.slots.map(lcore(), m.va(), m.len, mask, m.dir | overwrite, iova);
		const uint64_t lead = reinterpret_cast<uintptr_t>(m.va()) & mask;
		if (status != BounceStatus::ok) {
			ASSERT_EQ(status, lead + m.len > kChunks * kChunkBytes ? BounceStatus::too_long
					  : present_ < kChunks                ? BounceStatus::again
									      : BounceStatus::no_space);
			ASSERT_EQ(iova, ~uint64_t{0});
			++refused_;
			return;
		}
		ASSERT_EQ(iova & mask, lead);
		m.slot = pool_.slot_of(iova);
		ASSERT_TRUE(m.slot.begin <= iova && iova + m.len <= m.slot.end);
		for (auto &[other, o] : live_)
			ASSERT_TRUE(o.slot.end <= m.slot.begin || m.slot.end <= o.slot.begin);
		ASSERT_TRUE(pool_.padding_is_zero(iova, m.len)) << "something of another mapping is there";
		m.device.assign(m.va(), m.va() + m.len);
		if (overwrite)
			std::fill(m.device.begin(), m.device.end(), std::byte{0});
		ASSERT_EQ(pool_.device_bytes(iova, m.len), m.device);
		++maps_;
		copied_in_ += overwrite ? 0 : m.len;
		ended_[iova / kBounceGranule] = 0;
		live_.emplace(iova, std::move(m));
	}

	void unmap()
	{
		if (live_.empty())
			return;
		const auto it = any();
		Mapping &m = it->second;
		const uint32_t flags = random_.below(4) ? 0 : kBounceSkipCopy;
		ASSERT_EQ(pool_.device_bytes(it->first, m.len), m.device);
		ASSERT_EQ(pool_.slots.unmap(lcore(), it->first, m.len, m.dir, flags), BounceStatus::ok);
		if (m.dir != kBounceToDevice && flags == 0) {
			std::copy(m.device.begin(), m.device.end(), m.expected_va());
			copied_out_ += m.len;
		}
		ASSERT_EQ(m.memory, m.expected);
		ended_[it->first / kBounceGranule] = it->first;
		live_.erase(it);
	}

	void device_writes()
	{
		if (live_.empty())
			return;
		const auto it = any();
		Mapping &m = it->second;
		uint64_t off, len;
		part(m.len, off, len);
		const std::vector<std::byte> bytes = random_bytes(random_, len);
		if (m.dir != kBounceToDevice) {
			pool_.device_write(it->first + off, bytes.data(), len);
			std::copy(bytes.begin(), bytes.end(), m.device.begin() + static_cast<long>(off));
		}
		// It should not, but what it writes to the padding stays there. Taken back, since verify() tells.
		const OwnedBounce::Span slot = m.slot;
		if (it->first != slot.begin)
			scribble(slot.begin, it->first);
		if (it->first + m.len != slot.end)
			scribble(it->first + m.len, slot.end);
	}
	void scribble(uint64_t begin, uint64_t end)
	{
		std::byte *at = pool_.device(begin + random_.below(end - begin));
		*at = std::byte{0xdd};
		compare();
		*at = std::byte{0};
	}

	void caller_writes()
	{
		if (live_.empty())
			return;
		Mapping &m = any()->second;
		uint64_t off, len;
		part(m.len, off, len);
		const std::vector<std::byte> bytes = random_bytes(random_, len);
		std::copy(bytes.begin(), bytes.end(), m.va() + off);
		std::copy(bytes.begin(), bytes.end(), m.expected_va() + off);
	}

	void sync_for_cpu()
	{
		if (live_.empty())
			return;
		const auto it = any();
		Mapping &m = it->second;
		uint64_t off, len;
		part(m.len, off, len);
		ASSERT_EQ(pool_.slots.sync_for_cpu(lcore(), it->first, off, len, m.dir), BounceStatus::ok);
		if (m.dir == kBounceToDevice)
			return;
		std::copy_n(m.device.begin() + static_cast<long>(off), len, m.expected_va() + off);
		copied_out_ += len;
		ASSERT_EQ(m.memory, m.expected);
	}

	void sync_for_device()
	{
		if (live_.empty())
			return;
		const auto it = any();
		Mapping &m = it->second;
		uint64_t off, len;
		part(m.len, off, len);
		ASSERT_EQ(pool_.slots.sync_for_device(lcore(), it->first, off, len, m.dir), BounceStatus::ok);
		if (m.dir == kBounceFromDevice)
			return;
		std::copy_n(m.va() + off, len, m.device.begin() + static_cast<long>(off));
		copied_in_ += len;
	}

	void compare()
	{
		if (live_.empty())
			return;
		const auto it = any();
		ASSERT_EQ(pool_.device_bytes(it->first, it->second.len), it->second.device);
		ASSERT_EQ(it->second.memory, it->second.expected);
	}

	// What the header says of such a call, from the model alone.
	BounceStatus expected(uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, bool whole)
	{
		if (len == 0 || dir == 0 || dir > 3)
			return BounceStatus::invalid;
		if (iova < OwnedBounce::kBase || iova >= kEnd)
			return BounceStatus::not_of_pool;
		const auto it = live_.find(iova);
		if (it != live_.end()) {
			const Mapping &m = it->second;
			if (m.dir != dir)
				return BounceStatus::wrong_direction;
			const bool fits = whole ? len == m.len : off <= m.len && len <= m.len - off;
			return fits ? BounceStatus::ok : BounceStatus::wrong_length;
		}
		for (const auto &[first, m] : live_) {
			if (m.slot.holds(iova))
				return BounceStatus::inside;
		}
		const auto ended = ended_.find(iova / kBounceGranule);
		return ended != ended_.end() && ended->second == iova ? BounceStatus::already : BounceStatus::not_mapped;
	}

	void wrong_use()
	{
		uint64_t iova = OwnedBounce::kBase + random_.below(kChunks * kChunkBytes);
		uint64_t len = length(), off = 0;
		auto dir = static_cast<uint32_t>(random_.below(6));
		if (!live_.empty() && random_.below(8)) {
			const auto it = any();
			const Mapping &m = it->second;
			iova = it->first;
			dir = random_.below(3) ? m.dir : dir;
			len = random_.below(3) ? m.len : len;
			if (random_.below(2))
				iova = m.slot.begin + random_.below(m.slot.end - m.slot.begin);
			else if (random_.below(4) == 0)
				iova += (uint64_t{1} << random_.below(64)) * (random_.below(2) ? 1 : ~uint64_t{0});
		} else if (!ended_.empty()) {
			iova = std::next(ended_.begin(), static_cast<long>(random_.below(ended_.size())))->second;
		}
		if (random_.below(16) == 0)
			len = random_.below(2) ? 0 : uint64_t{1} << random_.below(64);
		if (const BounceStatus status = expected(iova, 0, len, dir, true); status != BounceStatus::ok) {
			ASSERT_EQ(pool_.slots.unmap(lcore(), iova, len, dir, static_cast<uint32_t>(random_.below(2))), status);
		}
		off = random_.below(2) ? 0 : uint64_t{1} << random_.below(64);
		if (const BounceStatus status = expected(iova, off, len, dir, false); status != BounceStatus::ok) {
			ASSERT_EQ(pool_.slots.sync_for_cpu(lcore(), iova, off, len, dir), status);
			ASSERT_EQ(pool_.slots.sync_for_device(lcore(), iova, off, len, dir), status);
		}
		compare();
	}

	void chunk()
	{
		const auto index = static_cast<unsigned>(random_.below(kChunks));
		const uint64_t first = pool_.slots.chunk_iova(index), end = first + kChunkBytes;
		// Those on standby change by themselves.
		present_ = 0;
		for (unsigned i = 0; i < kChunks; ++i)
			present_ += serves(i);
		switch (random_.below(4)) {
		case 0 ... 1: {
			const ChunkState state = random_.below(3) ? ChunkState::serving : ChunkState::standby;
			const bool absent = pool_.slots.chunk_state(index) == ChunkState::absent;
			ASSERT_EQ(pool_.add(index, state), absent ? Status::ok : Status::exists);
			break;
		}
		case 2: {
			const ChunkState state = pool_.slots.chunk_state(index);
			const bool may = state == ChunkState::standby || state == ChunkState::transient;
			ASSERT_EQ(pool_.slots.serve_chunk(index), may ? Status::ok : Status::not_found);
			break;
		}
		default: {
			const bool absent = pool_.slots.chunk_state(index) == ChunkState::absent;
			bool used = false;
			for (const auto &[iova, m] : live_)
				used |= m.slot.begin < end && first < m.slot.end;
			ASSERT_EQ(pool_.remove(index), absent ? Status::not_found : used ? Status::busy : Status::ok);
		}
		}
		present_ = 0;
		for (unsigned i = 0; i < kChunks; ++i)
			present_ += pool_.slots.chunk_state(i) != ChunkState::absent;
	}
	bool serves(unsigned index) const
	{
		const ChunkState state = pool_.slots.chunk_state(index);
		return state == ChunkState::serving || state == ChunkState::transient;
	}

	Random random_;
	OwnedBounce pool_;
	Live live_;
	std::map<uint64_t, uint64_t> ended_;  // by granule: the last mapping that began there, if it ended
	unsigned present_ = 2;
	uint64_t maps_ = 0, refused_ = 0, copied_in_ = 0, copied_out_ = 0;
};

class BounceModelTest : public testing::TestWithParam<uint64_t> {};

TEST_P(BounceModelTest, IsWhatTheModelSays)
{
	BounceModel model(GetParam());
	for (int i = 0; i < 8000; ++i) {
		model.step();
		if (i % 128 == 0)
			model.check();
		ASSERT_FALSE(HasFatalFailure()) << "seed " << GetParam() << ", step " << i;
	}
	model.finish();
	EXPECT_GT(model.refused(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, BounceModelTest, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace iovad::core
