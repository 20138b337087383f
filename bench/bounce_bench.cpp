// SPDX-License-Identifier: BSD-3-Clause
// Bounce slots, without DPDK: map and unmap, beside what they are made of.
//
// Names are <case>/<contestant>; the counters are per map and unmap together: ns on average,
// best_ns in the best slice of time.
//   pair         one granule of an address space out of this lcore's cache, and back
//   <len>        of one buffer, both ways copied
//   <len>:burst  32 are mapped, then unmapped, of 32 buffers
//   <len>:cold   as burst, of buffers that are 64 MiB together
//   <len>:mixed  as <len>, but another length every time, up to that: padding is made zero
// Contestants: bounce (IOVAD_BIDIRECTIONAL), and memcpy both ways, between the buffers and as much memory. to: bounce with
// IOVAD_TO_DEVICE. lcores: bounce on two lcores, each of which has buffers of its own. mapped, of <len> only: the buffer
// itself, mapped strictly through the software IOMMU.
#include "bench_main.h"
#include "stopwatch.h"

#include "core/bounce/bounce_slots.h"
#include "dma/mapper.h"
#include "dma/soft/soft_iommu.h"

#include <benchmark/benchmark.h>

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace iovad;
using namespace iovad::core;

constexpr std::uint64_t kBase = std::uint64_t{1} << 33;
constexpr unsigned kChunks = 64;
constexpr unsigned kBurst = 32;
constexpr std::size_t kColdBytes = std::size_t{64} << 20;

// Huge pages where there are any.
class Memory {
public:
	explicit Memory(std::size_t bytes) : bytes_((bytes + kChunkBytes - 1) & ~(kChunkBytes - 1)), at_(std::aligned_alloc(kChunkBytes, bytes_))
	{
		if (!at_)
			throw std::bad_alloc();
		madvise(at_.get(), bytes_, MADV_HUGEPAGE);
		std::memset(at_.get(), 1, bytes_);
	}
	std::byte *begin() const { return static_cast<std::byte *>(at_.get()); }

private:
	struct Free {
		void operator()(void *p) const { std::free(p); }
	};
	std::size_t bytes_;
	std::unique_ptr<void, Free> at_;
};

class Pool {
public:
	Pool() : state_(BounceState::bytes(config())), slots(BounceState::format(state_.begin(), config()), 1)
	{
		for (unsigned i = 0; i < kChunks; ++i) {
			if (slots.add_chunk(i, chunks_.begin() + i * kChunkBytes, records_.begin() + i * sizeof(ChunkRecords),
					    ChunkState::serving) != Status::ok)
				throw std::runtime_error("add_chunk failed");
		}
	}
	static Pool &instance()
	{
		static Pool pool;
		return pool;
	}

private:
	static BounceConfig config()
	{
		return {kBase, kChunks * kChunkBytes, 4, 512, 25, asymmetric_fence::enable()};
	}
	Memory state_, chunks_{kChunks * kChunkBytes}, records_{kChunks * sizeof(ChunkRecords)};

public:
	BounceSlots slots;
};

// A domain that maps.
class Mapped {
public:
	static dma::Mapper &mapper()
	{
		static Mapped mapped;
		return mapped.mapper_;
	}

private:
	static constexpr unsigned kRecords = 64;

	Mapped()
		: domain_(DomainState::format(state_.begin(), config()), 1),
		  mapper_(domain_, *MappingTable::format(table_.begin(), kRecords, domain_.geometry()),
			  *RetireQueues::format(queues_.begin(), 0, 1), dma::Mapper::Policy::strict, backend(),
			  [this](unsigned n) { return index_.emplace_back(std::make_unique<PageIndex::Table[]>(n)).get(); })
	{
		if (!mapper_.refresh().ok())
			throw std::runtime_error("refresh failed");
	}
	static DomainConfig config()
	{
		return {Geometry::of(4096, 4096, (std::uint64_t{1} << 40) - 1), kRecords, 4, 512, 12, asymmetric_fence::enable()};
	}
	static std::unique_ptr<dma::Backend> backend()
	{
		std::unique_ptr<dma::SoftIommu> soft;
		if (!dma::SoftIommu::create({}, soft).ok())
			throw std::runtime_error("no software IOMMU");
		return soft;
	}

	Memory state_{DomainState::bytes(config())}, table_{MappingTable::bytes(kRecords)}, queues_{RetireQueues::bytes(0)};
	std::vector<std::unique_ptr<PageIndex::Table[]>> index_;
	Domain domain_;
	dma::Mapper mapper_;
};

// Where the slots would be, for plain copies.
std::byte *target()
{
	static Memory memory(kColdBytes + 2 * kChunkBytes);
	return memory.begin();
}

// The caller's buffers: at 64 bytes from the start of a granule, as data of packets is not at that of a page.
class Buffers {
public:
	static constexpr std::uint64_t kSkew = 64;

	static std::uint64_t stride(std::uint64_t len) { return (len + kSkew + kBounceGranule - 1) & ~(kBounceGranule - 1); }
	Buffers(std::uint64_t len, unsigned n) : stride_(stride(len)), memory_(stride_ * n) {}
	std::byte *operator[](std::size_t i) const { return memory_.begin() + i * stride_ + kSkew; }
	std::uint64_t stride() const { return stride_; }

private:
	std::uint64_t stride_;
	Memory memory_;
};

// Of all slices of time, and of the best: what else runs on the machine disturbs only some.
class Slices {
public:
	template <class Work> void time(std::size_t operations, Work &&work)
	{
		best_ = std::min(best_, watch_.time(operations, work) * 1e9 / static_cast<double>(operations));
	}
	void report(benchmark::State &state) const
	{
		state.counters["ns"] = benchmark::Counter(watch_.ns_per_operation(), benchmark::Counter::kAvgThreads);
		state.counters["best_ns"] = benchmark::Counter(best_, benchmark::Counter::kAvgThreads);
	}

private:
	iovad::bench::Stopwatch watch_;
	double best_ = 1e18;
};

struct Case {
	std::uint64_t len;
	unsigned buffers;
	unsigned burst;
	bool mixed;
};

struct Bounce {
	std::uint32_t dir;
	BounceSlots &slots;

	std::uint64_t begin(unsigned lcore, std::byte *va, std::uint64_t len, std::uint64_t) const
	{
		std::uint64_t iova = 0;
		if (slots.map(lcore, va, len, 0, dir, iova) != BounceStatus::ok) [[unlikely]]
			std::abort();
		return iova;
	}
	void end(unsigned lcore, std::byte *, std::uint64_t len, std::uint64_t iova) const
	{
		if (slots.unmap(lcore, iova, len, dir, 0) != BounceStatus::ok) [[unlikely]]
			std::abort();
	}
};

struct Mapping {
	dma::Mapper &mapper;

	std::uint64_t begin(unsigned lcore, std::byte *va, std::uint64_t len, std::uint64_t) const
	{
		std::uint64_t iova = 0;
		if (!mapper.map(lcore, va, len, ~std::uint64_t{0}, dma::kBidirectional, iova).ok()) [[unlikely]]
			std::abort();
		return iova;
	}
	void end(unsigned lcore, std::byte *, std::uint64_t len, std::uint64_t iova) const
	{
		if (!mapper.unmap(lcore, iova, len).ok()) [[unlikely]]
			std::abort();
	}
};

struct Plain {
	std::byte *target;

	std::uint64_t begin(unsigned, std::byte *va, std::uint64_t len, std::uint64_t at) const
	{
		std::memcpy(target + at, va, len);
		return at;
	}
	void end(unsigned, std::byte *va, std::uint64_t len, std::uint64_t at) const
	{
		benchmark::ClobberMemory();
		std::memcpy(va, target + at, len);
	}
};

template <class Contestant> void both_ways(benchmark::State &state, const Case &c, const Contestant &contestant)
{
	const Buffers buffers(c.len, c.buffers);
	const auto lcore = static_cast<unsigned>(state.thread_index());
	Slices slices;
	std::vector<std::uint64_t> at(c.burst);
	std::uint64_t next = 0, seed = 1;
	const auto len_of = [&](std::uint64_t i) { return c.mixed ? 1 + (seed + i) * 0x9e3779b97f4a7c15 % c.len : c.len; };
	const unsigned rounds = std::max<unsigned>(1, static_cast<unsigned>((1 << 18) / (c.len * c.burst)));
	for (auto _ : state) {
		slices.time(std::size_t{rounds} * c.burst, [&] {
			for (unsigned round = 0; round < rounds; ++round, next = (next + c.burst) % c.buffers, ++seed) {
				for (unsigned i = 0; i < c.burst; ++i)
					at[i] = contestant.begin(lcore, buffers[next + i], len_of(i), (next + i) * buffers.stride());
				for (unsigned i = 0; i < c.burst; ++i)
					contestant.end(lcore, buffers[next + i], len_of(i), at[i]);
			}
		});
	}
	slices.report(state);
}

void pair(benchmark::State &state)
{
	constexpr unsigned kRound = 1024;
	Domain &domain = Pool::instance().slots.domain();
	Slices slices;
	for (auto _ : state) {
		slices.time(kRound, [&] {
			for (unsigned i = 0; i < kRound; ++i) {
				std::uint64_t iova;
				if (domain.alloc(0, kBounceGranule, ~std::uint64_t{0}, iova) != Status::ok) [[unlikely]]
					std::abort();
				benchmark::DoNotOptimize(iova);
				domain.free(0, iova, kBounceGranule);
			}
		});
	}
	slices.report(state);
}

template <class Contestant> void add(const std::string &name, const Case &c, const Contestant &contestant, int threads = 1)
{
	auto *b = benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &s) { both_ways(s, c, contestant); });
	if (threads != 1)
		b->Threads(threads);
}

void run()
{
	// Not while something is timed.
	BounceSlots &slots = Pool::instance().slots;
	dma::Mapper &mapper = Mapped::mapper();
	std::byte *to = target();
	benchmark::RegisterBenchmark("pair/domain", pair);
	for (std::uint64_t len : {64, 256, 1500, 2048, 9000, 65536, 262144, 1 << 20, 2 << 20}) {
		const auto cold = kBurst * std::max(1u, static_cast<unsigned>(kColdBytes / Buffers::stride(len) / kBurst));
		const std::pair<std::string, Case> cases[] = {{"", {len, 1, 1, false}},
							      {":burst", {len, kBurst, kBurst, false}},
							      {":cold", {len, cold, kBurst, false}},
							      {":mixed", {len, 1, 1, true}}};
		for (const auto &[suffix, c] : cases) {
			const std::string name = std::to_string(len) + suffix;
			add(name + "/memcpy", c, Plain{to});
			add(name + "/bounce", c, Bounce{kBounceBidirectional, slots});
			add(name + "/to", c, Bounce{kBounceToDevice, slots});
			add(name + "/lcores", c, Bounce{kBounceBidirectional, slots}, 2);
		}
		add(std::to_string(len) + "/mapped", cases[0].second, Mapping{mapper});
	}
	benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char **argv) { return iovad::bench::bench_main(argc, argv, run); }
