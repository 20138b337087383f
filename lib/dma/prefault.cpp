// SPDX-License-Identifier: BSD-3-Clause
#include "dma/prefault.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_scheduler_observer.h>

namespace iovad::dma {

namespace {

// Debian 12's headers have them, older ones do not.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunk = uint64_t{32} << 20;  // whole 2 MiB pages, a few ms of zeroing

int populate(uint64_t first, uint64_t end, int advice)
{
	while (madvise(reinterpret_cast<void *>(first), end - first, advice) != 0) {
		if (errno == EINTR || errno == EAGAIN)
			continue;
		return errno;
	}
	return 0;
}

// Where memory was never written, reading finds the page of zeros that all such memory shares.
// Kernels before 6.2 pin that one for a device that only reads, and the program's first
// write gets another page: the device would see zeros for ever. Hence as if to write, where
// that is allowed.
int populate_for(uint64_t first, uint64_t end, bool device_writes)
{
	const int error = populate(first, end, MADV_POPULATE_WRITE);
	return error == EINVAL && !device_writes ? populate(first, end, MADV_POPULATE_READ) : error;
}

// The caller is an EAL thread as a rule, pinned to one CPU, and threads inherit that.
class Unpinned : public tbb::task_scheduler_observer {
public:
	explicit Unpinned(tbb::task_arena &arena) : tbb::task_scheduler_observer(arena) { observe(true); }
	~Unpinned() override { observe(false); }
	void on_scheduler_entry(bool worker) override
	{
		if (!worker)
			return;
		cpu_set_t all;
		std::fill_n(reinterpret_cast<unsigned char *>(&all), sizeof all, 0xff);
		sched_setaffinity(0, sizeof all, &all);  // the kernel leaves out what it does not have
	}
};

}  // namespace

int prefault(const void *va, uint64_t len, bool device_writes)
{
	const uint64_t first = reinterpret_cast<uint64_t>(va) & ~(kPage - 1);
	const uint64_t end = (reinterpret_cast<uint64_t>(va) + len + kPage - 1) & ~(kPage - 1);
	std::atomic<int> error = 0;
	const uint64_t begin = first & ~(kChunk - 1);
	const auto chunk = [&](uint64_t i) {
		const uint64_t from = begin + i * kChunk;
		const int e = populate_for(std::max(from, first), std::min(from + kChunk, end), device_writes);
		if (e == EFAULT || e == ENOMEM)
			error.store(e, std::memory_order_relaxed);
	};
	const uint64_t chunks = (end - begin + kChunk - 1) / kChunk;
	if (chunks == 1) {
		chunk(0);
	} else {
		const auto threads = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
		tbb::global_control allow(tbb::global_control::max_allowed_parallelism, threads);
		tbb::task_arena arena(static_cast<int>(threads));
		Unpinned unpinned(arena);
		arena.execute([&] { tbb::parallel_for(uint64_t{0}, chunks, chunk); });
	}
	return error.load(std::memory_order_relaxed);
}

}  // namespace iovad::dma
