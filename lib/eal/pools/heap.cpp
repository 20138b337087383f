// SPDX-License-Identifier: BSD-3-Clause
#include "eal/pools/heap.h"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include <sys/mman.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_vfio.h>

#include "dma/vfio/vfio_type1.h"
#include "eal/domain/mapping.h"
#include "eal/log/log.h"
#include "iovad/iovad_ethdev.h"

namespace iovad::eal {

namespace {

constexpr uint64_t k4KiB = 4096, k2MiB = uint64_t{1} << 21, k1GiB = uint64_t{1} << 30;
constexpr int kHugeShift = 26;  // MAP_HUGE_SHIFT

// Anonymous memory of one page size, aligned to it.
class Pages {
public:
	Pages(uint64_t len, uint64_t page_size) : len_(len)
	{
		const int huge = page_size == k4KiB ? 0 : MAP_HUGETLB | std::countr_zero(page_size) << kHugeShift;
		void *va = mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | huge, -1, 0);
		va_ = va == MAP_FAILED ? nullptr : va;
	}
	~Pages()
	{
		if (va_)
			munmap(va_, len_);
	}
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;

	void *va() const { return va_; }
	// Devices may still use them: they stay for good.
	void abandon() { va_ = nullptr; }

private:
	void *va_;
	uint64_t len_;
};

}  // namespace

struct Heap {
	Heap(iovad_domain &d, const char *heap_name, uint64_t bytes, uint64_t page)
		: domain(d), pages(bytes, page), len(bytes), page_size(page)
	{
		std::snprintf(name, sizeof name, "%s", heap_name);
	}
	~Heap()
	{
		if (has_memory)
			rte_malloc_heap_memory_remove(name, pages.va(), len);
		if (exists)
			rte_malloc_heap_destroy(name);
		if (mapped && unmap() != 0)
			pages.abandon();
	}
	Heap(const Heap &) = delete;
	Heap &operator=(const Heap &) = delete;

	int unmap()
	{
		const int error = remove_region(domain, pages.va(), len);
		mapped = error != 0;
		return error;
	}

	iovad_domain &domain;
	Pages pages;
	uint64_t len, page_size;
	rte_iova_t iova = RTE_BAD_IOVA;
	char name[IOVAD_HEAP_NAME_MAX + 1];
	bool mapped = false, exists = false, has_memory = false;
};

namespace {

std::mutex mutex;
// Of this process. Never destroyed: when the process ends, its lcores may still use them.
auto &heaps = *new std::vector<std::unique_ptr<Heap>>;

// EAL maps external memory in its own container, when it hears of it.
bool eal_maps(const iovad_domain &d) { return d.eal_memory && d.eal_memory->watching(); }

// It does so for heaps of other domains too, at addresses that mean nothing there.
bool elsewhere(const iovad_domain &d, const char *name)
{
	const int fd = rte_vfio_get_container_fd();
	std::unique_ptr<dma::VfioType1> vfio;
	if (d.eal_memory || fd < 0 || !dma::VfioType1::open(fd, dma::FdOwner::caller, vfio).ok())
		return false;
	IOVAD_LOG(ERR, "%s: EAL would map this heap in its own VFIO container too, at the addresses of domain %s: "
		  "make it in a domain of EAL's container (container_fd -1)", name, d.shared->name);
	return true;
}

int add_memory(Heap &heap)
{
	std::vector<rte_iova_t> iovas(heap.len / heap.page_size);
	for (size_t i = 0; i < iovas.size(); ++i)
		iovas[i] = heap.iova + i * heap.page_size;
	if (rte_malloc_heap_memory_add(heap.name, heap.pages.va(), heap.len, iovas.data(),
				       static_cast<unsigned>(iovas.size()), heap.page_size) != 0)
		return -rte_errno;
	heap.has_memory = true;
	return 0;
}

// EAL maps each page while the memory is added, and does not say whether it could. Where it
// did, nobody else can.
int check_mapped(const Heap &heap)
{
	if (!eal_maps(heap.domain))
		return 0;
	dma::Backend &backend = heap.domain.mapper->backend();
	for (uint64_t offset = 0; offset < heap.len; offset += heap.page_size) {
		const dma::Outcome o = backend.map(heap.iova + offset, static_cast<char *>(heap.pages.va()) + offset,
						   heap.page_size, dma::kBidirectional);
		if (o.status == core::Status::exists)
			continue;
		if (o.ok())
			backend.unmap(heap.iova + offset, heap.page_size);
		IOVAD_LOG(ERR, "%s: EAL could not map it for devices, see above: each of its %llu pages is a mapping. "
			  "Their number is limited (vfio_iommu_type1.dma_entry_limit), and so is locked memory (ulimit -l)",
			  heap.name, static_cast<unsigned long long>(heap.len / heap.page_size));
		return -ENOMEM;
	}
	return 0;
}

int remove_memory(Heap &heap)
{
	if (rte_malloc_heap_memory_remove(heap.name, heap.pages.va(), heap.len) != 0)
		return -rte_errno;
	heap.has_memory = false;
	return 0;
}

// -EBUSY: as before, something in it is allocated, or mapped with iovad_map().
int destroy(Heap &heap)
{
	if (const int error = remove_memory(heap))
		return error;
	const int error = heap.unmap();
	if (error == -EBUSY && add_memory(heap) == 0)
		return error;
	return error == -EBUSY ? -EIO : error;
}

}  // namespace

int create_heap(iovad_domain &d, const char *name, uint64_t len, uint64_t page_size, uint64_t limit)
try {
	const uint64_t page = page_size ? page_size : k2MiB;
	if (page != k4KiB && page != k2MiB && page != k1GiB) {
		IOVAD_LOG(ERR, "%s: pages of %llu bytes: only 4 KiB, 2 MiB, 1 GiB", name,
			  static_cast<unsigned long long>(page));
		return -EINVAL;
	}
	if (len == 0 || len % page != 0 || std::strlen(name) > IOVAD_HEAP_NAME_MAX)
		return -EINVAL;
	if (!d.mapper || elsewhere(d, name))
		return -ENOTSUP;
	std::lock_guard guard(mutex);
	heaps.reserve(heaps.size() + 1);
	auto heap = std::make_unique<Heap>(d, name, len, page);
	if (!heap->pages.va()) {
		IOVAD_LOG(ERR, "%s: no %llu pages of %llu KiB: reserve more (nr_hugepages)", name,
			  static_cast<unsigned long long>(len / page), static_cast<unsigned long long>(page >> 10));
		return -ENOMEM;
	}
	if (const int error = add_region(d, heap->pages.va(), len, limit, dma::kBidirectional, heap->iova,
					 eal_maps(d) ? dma::Installer::other : dma::Installer::us))
		return error;
	heap->mapped = true;
	if (rte_malloc_heap_create(heap->name) != 0)
		return -rte_errno;
	heap->exists = true;
	if (const int error = add_memory(*heap))
		return error;
	if (const int error = check_mapped(*heap))
		return error;
	heaps.push_back(std::move(heap));
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

int destroy_heap(iovad_domain &d, const char *name)
try {
	std::lock_guard guard(mutex);
	for (auto it = heaps.begin(); it != heaps.end(); ++it) {
		Heap &heap = **it;
		if (&heap.domain != &d || std::strcmp(heap.name, name) != 0)
			continue;
		const int error = destroy(heap);
		if (error != -EBUSY)
			heaps.erase(it);
		return error;
	}
	return -ENOENT;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

}  // namespace iovad::eal
