// SPDX-License-Identifier: BSD-3-Clause
#include "dma/prefault.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tbb/enumerable_thread_specific.h>
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

// The caller is an EAL thread as a rule, pinned to one CPU, and threads inherit that. Workers
// belong to the whole process, so what they had is put back.
class Helpers : public tbb::task_scheduler_observer {
public:
	Helpers(tbb::task_arena &arena, const cpu_set_t &cpus) : tbb::task_scheduler_observer(arena), cpus_(cpus)
	{
		observe(true);
	}
	~Helpers() override { observe(false); }
	void on_scheduler_entry(bool worker) override
	{
		if (!worker)
			return;
		cpu_set_t &before = before_.local();
		sched_getaffinity(0, sizeof before, &before);
		sched_setaffinity(0, sizeof cpus_, &cpus_);  // the kernel leaves out what it does not have
	}
	void on_scheduler_exit(bool worker) override
	{
		if (worker)
			sched_setaffinity(0, sizeof(cpu_set_t), &before_.local());
	}

private:
	const cpu_set_t cpus_;
	tbb::enumerable_thread_specific<cpu_set_t> before_;
};

void each_chunk(uint64_t chunks, unsigned helpers, const cpu_set_t &cpus, const std::function<void(uint64_t)> &chunk)
try {
	tbb::global_control allow(tbb::global_control::max_allowed_parallelism, helpers + 1);
	tbb::task_arena arena(static_cast<int>(helpers + 1));
	Helpers pinned(arena, cpus);
	arena.execute([&] { tbb::parallel_for(uint64_t{0}, chunks, chunk); });
} catch (...) {
	// No threads: then whoever pins the memory faults it in.
}

// The kernel's list, not the process's: that may be the one CPU of the caller.
unsigned usable(const cpu_set_t &cpus)
{
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = 0;
	for (long cpu = 0; cpu < online && cpu < CPU_SETSIZE; ++cpu)
		n += CPU_ISSET(cpu, &cpus);
	return n;
}

}  // namespace

cpu_set_t every_cpu()
{
	cpu_set_t all;
	std::fill_n(reinterpret_cast<unsigned char *>(&all), sizeof all, 0xff);
	return all;
}

int prefault(const void *va, uint64_t len, bool device_writes, const cpu_set_t &cpus)
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
	if (const unsigned helpers = usable(cpus); chunks > 1 && helpers > 0)
		each_chunk(chunks, helpers, cpus, chunk);
	else
		for (uint64_t i = 0; i < chunks; ++i)
			chunk(i);
	return error.load(std::memory_order_relaxed);
}

}  // namespace iovad::dma
