// SPDX-License-Identifier: BSD-3-Clause
// What an application does once, at its start, through the C API.
//
// Names are <case>/<contestant>; the counter ns is per call.
//   create:N       a domain that holds N ranges without growing; contestants: without a backend, and
//                  with the software IOMMU. Its end is not timed.
//   region:N       N MiB of memory, touched, becomes a region of a new domain; contestants: iovad_region_add(),
//                  and the software IOMMU mapping the same memory: backend, after a domain was made as for
//                  iovad, which leaves the caches cold; alone, with no domain, the caches warm. 4 GiB of huge
//                  pages where there are so many, else what transparent ones there are.
//   region:N:vfio  the same through VFIO, where IOVAD_BENCH_DEVICES lists devices bound to vfio-pci
#include "bench_main.h"
#include "eal_session.h"
#include "stopwatch.h"

#include "dma/soft/soft_iommu.h"
#include "dma/vfio/vfio_type1.h"

#include <iovad/iovad_dma.h>

#include <benchmark/benchmark.h>

#include <rte_vfio.h>

#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace iovad::bench;
using iovad::dma::Backend;

constexpr std::uint64_t kLimit = UINT64_MAX;
constexpr std::uint64_t kIova = std::uint64_t{7} << 36;  // under 39 bits, and above EAL's
constexpr std::size_t kHuge = std::size_t{4} << 30, kOther = std::size_t{1} << 30;

struct DomainDestroy {
	void operator()(iovad_domain *d) const { iovad_domain_destroy(d); }
};
using Domain = std::unique_ptr<iovad_domain, DomainDestroy>;

Domain create(iovad_backend backend, std::uint64_t ranges)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = "setup";
	conf.backend = backend;
	conf.max_ranges = ranges;
	return Domain(iovad_domain_create(&conf));
}

// Null: there is none.
std::unique_ptr<Backend> open(iovad_backend backend)
{
	if (backend == IOVAD_BACKEND_SOFT) {
		std::unique_ptr<iovad::dma::SoftIommu> soft;
		iovad::dma::SoftIommu::create({}, soft);
		return soft;
	}
	std::unique_ptr<iovad::dma::VfioType1> vfio;
	const int container = rte_vfio_get_container_fd();
	if (container >= 0)
		iovad::dma::VfioType1::open(container, iovad::dma::FdOwner::caller, vfio);
	return vfio;
}

class Memory {
public:
	Memory() : bytes_(kHuge), at_(mapped(MAP_HUGETLB | MAP_POPULATE))
	{
		if (at_ == MAP_FAILED) {
			bytes_ = kOther;
			at_ = mapped(MAP_NORESERVE);
		}
		if (at_ == MAP_FAILED)
			throw std::runtime_error("no memory to map");
		madvise(at_, bytes_, MADV_HUGEPAGE);  // in vain for what is huge already
		std::memset(at_, 1, bytes_);
	}
	~Memory() { munmap(at_, bytes_); }
	Memory(const Memory &) = delete;
	Memory &operator=(const Memory &) = delete;

	void *begin() const { return at_; }
	std::size_t bytes() const { return bytes_; }

private:
	void *mapped(int flags) const
	{
		return mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	}

	std::size_t bytes_;
	void *at_;
};

// once(watch) times a part of itself; false: it failed.
template <class Once>
void add(const std::string &name, Once once)
{
	benchmark::RegisterBenchmark(name.c_str(), [once](benchmark::State &state) {
		Stopwatch watch;
		for (auto _ : state) {
			if (!once(watch)) {
				state.SkipWithError("a call failed");
				break;
			}
		}
		state.counters["ns"] = watch.ns_per_operation();
	})->UseRealTime();
}

void add_create(std::uint64_t ranges, const char *text)
{
	for (const auto &[backend, name] : {std::pair{IOVAD_BACKEND_NONE, "none"}, std::pair{IOVAD_BACKEND_SOFT, "soft"}}) {
		add(std::string("create:") + text + "/" + name, [ranges, b = backend](Stopwatch &watch) {
			Domain domain;
			watch.time(1, [&] { domain = create(b, ranges); });
			return domain != nullptr;
		});
	}
}

void add_region(const std::string &name, const Memory &memory, iovad_backend backend)
{
	add(name + "/iovad", [&memory, backend](Stopwatch &watch) {
		const Domain domain = create(backend, 0);
		rte_iova_t iova;
		int error = -1;
		if (domain)
			watch.time(1, [&] {
				error = iovad_region_add(domain.get(), memory.begin(), memory.bytes(), kLimit, IOVAD_BIDIRECTIONAL, &iova);
			});
		return error == 0 && iovad_region_remove(domain.get(), memory.begin(), memory.bytes()) == 0;
	});
	const auto map_by_backend = [&memory, backend](Stopwatch &watch, bool beside_domain) {
		const std::unique_ptr<Backend> mapper = open(backend);
		const Domain domain = beside_domain ? create(backend, 0) : nullptr;
		bool mapped = false;
		if (mapper && (domain || !beside_domain))
			watch.time(1, [&] {
				mapped = mapper->map(kIova, memory.begin(), memory.bytes(), iovad::dma::kBidirectional).ok();
			});
		return mapped && mapper->unmap(kIova, memory.bytes()).ok();
	};
	add(name + "/backend", [=](Stopwatch &watch) { return map_by_backend(watch, true); });
	add(name + "/alone", [=](Stopwatch &watch) { return map_by_backend(watch, false); });
}

void run()
{
	EalSession eal;
	benchmark::AddCustomContext("lcores", eal.cpus());
	benchmark::AddCustomContext("memory", eal.huge_pages() ? "huge pages" : "no huge pages (--no-huge)");
	const Memory memory;
	add_create(65536, "65536");
	add_create(1000000, "1e6");
	const std::string name = "region:" + std::to_string(memory.bytes() >> 20);
	add_region(name, memory, IOVAD_BACKEND_SOFT);
	if (open(IOVAD_BACKEND_VFIO))
		add_region(name + ":vfio", memory, IOVAD_BACKEND_VFIO);
	benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char **argv) { return iovad::bench::bench_main(argc, argv, run); }
