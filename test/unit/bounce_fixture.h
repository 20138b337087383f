// SPDX-License-Identifier: BSD-3-Clause
// Bounce slots in memory of their own. Chunks are allocated one by one: neighbours in the window
// are none in memory, and what touches one that has gone is seen by the address sanitizer.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "core/bounce/bounce_slots.h"
#include "tree_fixture.h"

namespace iovad::core {

// By calls that sanitizers do not slow down. bytes: not empty.
inline bool all_are(const std::vector<std::byte> &bytes, std::byte b)
{
	return bytes[0] == b && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

class OwnedBounce {
public:
	static constexpr uint64_t kBase = uint64_t{1} << 33;

	static BounceConfig config(unsigned chunks, uint64_t base = kBase)
	{
		return {base, chunks * kChunkBytes, 16, 512, 25, asymmetric_fence::enable()};
	}
	explicit OwnedBounce(const BounceConfig &config)
		: records_(config.bytes >> kChunkShift),
		  state_memory_(std::aligned_alloc(64, records_ * sizeof(ChunkRecords) + BounceState::bytes(config))),
		  memory_(records_), slots(BounceState::format(records_of(records_), config), 1)
	{
	}
	// The first `present` of the chunks, from the top, serve.
	OwnedBounce(unsigned chunks, unsigned present) : OwnedBounce(config(chunks))
	{
		for (unsigned i = 0; i < present; ++i)
			add(chunks - 1 - i);
	}

	Status add(unsigned index, ChunkState state = ChunkState::serving)
	{
		Memory memory(std::aligned_alloc(kChunkBytes, kChunkBytes));
		std::memset(memory.get(), 0x5a, kChunkBytes);
		const Status status = add(index, memory.get(), state);
		if (status == Status::ok)
			memory_[index] = std::move(memory);
		return status;
	}
	Status add(unsigned index, void *memory, ChunkState state = ChunkState::serving)
	{
		return slots.add_chunk(index, memory, slots.has_records(index) ? nullptr : records_of(index), state);
	}
	Status remove(unsigned index)
	{
		const Status status = slots.remove_chunk(index);
		if (status == Status::ok)
			memory_[index].reset();
		return status;
	}

	// What the device sees at an address.
	std::byte *device(uint64_t iova) const
	{
		const uint64_t at = iova - slots.chunk_iova(0);
		return static_cast<std::byte *>(slots.chunk_va(static_cast<unsigned>(at >> kChunkShift))) +
		       (at & (kChunkBytes - 1));
	}
	void device_read(uint64_t iova, std::byte *to, uint64_t n) const
	{
		for_each_piece(iova, n, [&](std::byte *memory, uint64_t at, uint64_t part) { std::memcpy(to + at, memory, part); });
	}
	void device_write(uint64_t iova, const std::byte *from, uint64_t n) const
	{
		for_each_piece(iova, n, [&](std::byte *memory, uint64_t at, uint64_t part) { std::memcpy(memory, from + at, part); });
	}
	std::vector<std::byte> device_bytes(uint64_t iova, uint64_t n) const
	{
		std::vector<std::byte> bytes(n);
		device_read(iova, bytes.data(), n);
		return bytes;
	}
	struct Span {
		uint64_t begin, end;
		bool holds(uint64_t iova) const { return begin <= iova && iova < end; }
	};
	// The slot in which an address lies.
	Span slot_of(uint64_t iova)
	{
		const Extent e = slots.domain().find(iova);
		return {e.start << kBounceShift, e.end << kBounceShift};
	}
	// Whether all of the slot around [iova, iova + len) is zero.
	bool padding_is_zero(uint64_t iova, uint64_t len)
	{
		const Span slot = slot_of(iova);
		const auto zero = [this](uint64_t from, uint64_t to) {
			return from == to || all_are(device_bytes(from, to - from), std::byte{0});
		};
		return zero(slot.begin, iova) && zero(iova + len, slot.end);
	}

private:
	using Memory = std::unique_ptr<void, FreeDeleter>;

	template <class Use> void for_each_piece(uint64_t iova, uint64_t len, Use use) const
	{
		for (uint64_t at = 0, n; at < len; at += n) {
			n = std::min(len - at, kChunkBytes - ((iova + at) & (kChunkBytes - 1)));
			use(device(iova + at), at, n);
		}
	}

	void *records_of(uint64_t index) const { return static_cast<ChunkRecords *>(state_memory_.get()) + index; }

	const uint64_t records_;
	Memory state_memory_;  // records of all chunks, then the state: it wants them near
	std::vector<Memory> memory_;

public:
	BounceSlots slots;
};

inline std::vector<std::byte> random_bytes(Random &random, uint64_t n)
{
	std::vector<std::byte> bytes(n + 7);
	for (uint64_t i = 0; i < n; i += 8) {
		const uint64_t word = random.next() | 0x0101010101010101;  // none is zero
		std::memcpy(&bytes[i], &word, 8);
	}
	bytes.resize(n);
	return bytes;
}

}  // namespace iovad::core
