// SPDX-License-Identifier: BSD-3-Clause
// The software IOMMU: what a device pays for a translation, and its owner for a mapping.
//
// translate: buffers of 2 KiB in random order in 1 GiB of mapped memory; _in_turn is the
// same with each address known only when the one before is translated, so that walks
// cannot overlap. No memory is touched but the page table: 2 MiB of it with 4 KiB leaves.
// Time is per translation, mapping and unmapping, or burst.
#include "dma/soft/soft_iommu.h"

#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

using namespace iovad::dma;

constexpr uint64_t k4K = uint64_t{1} << 12, k2M = uint64_t{1} << 21, k1G = uint64_t{1} << 30;
constexpr uint64_t kVa = 0x7f0000000000;
constexpr uint64_t kIova = 8 * k1G;
constexpr uint64_t kBuffer = 2048;     // bytes
constexpr uint64_t kBuffers = 1 << 14;

std::unique_ptr<SoftIommu> make(unsigned address_bits = 48)
{
	SoftConfig config;
	config.address_bits = address_bits;
	std::unique_ptr<SoftIommu> soft;
	if (!SoftIommu::create(config, soft).ok())
		std::abort();
	return soft;
}

void install(SoftIommu &soft, uint64_t iova, uint64_t va, uint64_t len)
{
	if (!soft.map(iova, reinterpret_cast<void *>(va), len, kBidirectional).ok())
		std::abort();
}

// skew: how far memory is from being congruent, and so which leaves are used.
std::unique_ptr<SoftIommu> make_mapped(unsigned address_bits, uint64_t skew)
{
	auto soft = make(address_bits);
	install(*soft, kIova, kVa + skew, k1G);
	return soft;
}

// Where buffers begin, from the beginning of a page.
std::vector<uint64_t> buffers(uint64_t offset)
{
	std::mt19937_64 random(1);
	std::vector<uint64_t> iovas(kBuffers);
	for (uint64_t &iova : iovas)
		iova = kIova + random() % (k1G / k4K - 1) * k4K + offset;
	return iovas;
}

// In the type, since a condition would become arithmetic, and a dependency in both cases.
enum class Order { kAtOnce, kInTurn };

template <Order kOrder>
void translate(benchmark::State &state, unsigned address_bits, uint64_t skew, uint64_t offset)
{
	const auto soft = make_mapped(address_bits, skew);
	const auto iovas = buffers(offset);
	uint64_t i = 0;
	for (auto _ : state) {
		void *va = soft->translate(iovas[i % kBuffers], kBuffer, Access::write).va;
		benchmark::DoNotOptimize(va);
		++i;
		// The top bit is 0, which the compiler does not know.
		if constexpr (kOrder == Order::kInTurn)
			i += reinterpret_cast<uintptr_t>(va) >> 63;
	}
	if (soft->fault_count() != 0)
		state.SkipWithError("not everything translated");
}

// With another thread that maps and unmaps a page, and a table with it, without a pause.
void translate_beside_unmap(benchmark::State &state)
{
	const auto soft = make_mapped(48, k2M);
	const auto iovas = buffers(0);
	std::atomic<bool> done = false;
	std::thread other([&] {
		while (!done) {
			install(*soft, 2 * k1G, kVa, k4K);
			soft->unmap(2 * k1G, k4K);
		}
	});
	uint64_t i = 0;
	for (auto _ : state) {
		void *va = soft->translate(iovas[i++ % kBuffers], kBuffer, Access::write).va;
		benchmark::DoNotOptimize(va);
	}
	done = true;
	other.join();
	state.counters["unmaps"] = benchmark::Counter(static_cast<double>(soft->stats().flushes),
						      benchmark::Counter::kIsRate);
}

void fault(benchmark::State &state)
{
	const auto soft = make_mapped(48, 0);
	for (auto _ : state)
		benchmark::DoNotOptimize(soft->translate(k4K, kBuffer, Access::write));
}

void burst(benchmark::State &state)
{
	const auto soft = make();
	Requester device(*soft);
	for (auto _ : state) {
		const Requester::Burst inside(device);
		benchmark::ClobberMemory();
	}
}

// live: mappings that exist beside, each with the tables of its own 2 MiB.
void map_unmap(benchmark::State &state, uint64_t len, uint64_t skew, uint64_t live, bool device)
{
	const auto soft = make();
	std::unique_ptr<Requester> requester;
	if (device)
		requester = std::make_unique<Requester>(*soft);
	for (uint64_t i = 0; i < live; ++i)
		install(*soft, 64 * k1G + i * k2M, kVa, k4K);
	for (auto _ : state) {
		install(*soft, kIova, kVa + skew, len);
		if (!soft->unmap(kIova, len).ok())
			state.SkipWithError("unmap failed");
	}
	state.counters["pages"] = static_cast<double>(skew % k2M ? len / k4K : skew % k1G ? len / k2M : 1);
}

void add_all()
{
	using benchmark::RegisterBenchmark;
	const struct {
		const char *name;
		uint64_t skew;
	} leaves[] = {{"4k", k4K}, {"2m", k2M}, {"1g", 0}};
	for (const auto &leaf : leaves) {
		for (unsigned width : {39u, 48u, 57u}) {
			const std::string which = std::string("/") + leaf.name + "/" + std::to_string(width) + "_bits";
			RegisterBenchmark(("translate" + which).c_str(), translate<Order::kAtOnce>, width,
					  leaf.skew, uint64_t{512});
			RegisterBenchmark(("translate_in_turn" + which).c_str(), translate<Order::kInTurn>, width,
					  leaf.skew, uint64_t{512});
		}
	}
	RegisterBenchmark("translate_crossing/4k/48_bits", translate<Order::kAtOnce>, 48u, k4K, k4K - 1024);
	RegisterBenchmark("translate_beside_unmap/2m/48_bits", translate_beside_unmap);
	RegisterBenchmark("fault", fault);
	RegisterBenchmark("burst", burst);
	RegisterBenchmark("map_unmap/4k", map_unmap, k4K, uint64_t{0}, uint64_t{0}, false);
	RegisterBenchmark("map_unmap/4k/beside_60000", map_unmap, k4K, uint64_t{0}, uint64_t{60000}, false);
	RegisterBenchmark("map_unmap/4k/with_device", map_unmap, k4K, uint64_t{0}, uint64_t{0}, true);
	RegisterBenchmark("map_unmap/64k", map_unmap, 16 * k4K, uint64_t{0}, uint64_t{0}, false);
	RegisterBenchmark("map_unmap/2m", map_unmap, k2M, uint64_t{0}, uint64_t{0}, false);
	RegisterBenchmark("map_unmap/2m_in_4k", map_unmap, k2M, k4K, uint64_t{0}, false);
	RegisterBenchmark("map_unmap/1g", map_unmap, k1G, uint64_t{0}, uint64_t{0}, false);
	RegisterBenchmark("map_unmap/1g_in_2m", map_unmap, k1G, k2M, uint64_t{0}, false);
	RegisterBenchmark("map_unmap/1g_in_4k", map_unmap, k1G, k4K, uint64_t{0}, false);
}

}  // namespace

int main(int argc, char **argv)
{
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 1;
	add_all();
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
}
