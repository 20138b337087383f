// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include <sched.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dma/prefault.h"

namespace iovad::dma {
namespace {

constexpr uint64_t kPage = 4096, kChunk = uint64_t{32} << 20;

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

class Memory {
public:
	explicit Memory(uint64_t bytes, int rights = PROT_READ | PROT_WRITE)
		: bytes_(bytes), start_(mmap(nullptr, bytes, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))
	{
		if (start_ == MAP_FAILED)
			throw std::bad_alloc();
		madvise(start_, bytes, MADV_NOHUGEPAGE);
	}
	~Memory() { munmap(start_, bytes_); }
	Memory(const Memory &) = delete;
	Memory &operator=(const Memory &) = delete;

	std::byte *at(uint64_t offset) const { return static_cast<std::byte *>(start_) + offset; }
	uint64_t resident() const
	{
		std::vector<unsigned char> pages(bytes_ / kPage);
		EXPECT_EQ(0, mincore(start_, bytes_, pages.data()));
		uint64_t n = 0;
		for (const unsigned char p : pages)
			n += p & 1;
		return n;
	}

private:
	uint64_t bytes_;
	void *start_;
};

// Kernels before 5.14 prefault nothing, and that is no error.
bool kernel_populates()
{
	const Memory m(kPage);
	return madvise(m.at(0), kPage, MADV_POPULATE_READ) == 0;
}

TEST(Prefault, BringsInTheWholePagesAndNoOthers)
{
	if (!kernel_populates())
		GTEST_SKIP() << "the kernel has no MADV_POPULATE_WRITE";
	const Memory m(16 * kPage);
	EXPECT_EQ(0, prefault(m.at(2 * kPage + 5), kPage, true, every_cpu()));
	EXPECT_EQ(2u, m.resident());
	EXPECT_EQ(0, prefault(m.at(4 * kPage), 1, true, every_cpu()));
	EXPECT_EQ(3u, m.resident());
}

// What a device reads has to be the page that the program writes, not the shared one of zeros.
TEST(Prefault, MemoryThatDevicesOnlyReadIsTheProgramsOwn)
{
	if (!kernel_populates())
		GTEST_SKIP() << "the kernel has no MADV_POPULATE_WRITE";
	constexpr long kPages = 64;
	const Memory m(kPages * kPage);
	EXPECT_EQ(0, prefault(m.at(0), kPages * kPage, false, every_cpu()));
	const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, zeros);
	rusage before, after;
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &before));
	// Written by the kernel: our own writes would fault in a sanitizer's shadow, too.
	for (long i = 0; i < kPages; ++i)
		ASSERT_EQ(1, syscall(SYS_read, zeros, m.at(i * kPage), 1));
	ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &after));
	close(zeros);
	EXPECT_LT(after.ru_minflt - before.ru_minflt, kPages / 4);
}

// More chunks than one, from the middle of a chunk to the middle of another.
TEST(Prefault, LargeMemoryByThreads)
{
	if (!kernel_populates())
		GTEST_SKIP() << "the kernel has no MADV_POPULATE_WRITE";
	const uint64_t bytes = 2 * kChunk + 3 * kPage;
	const Memory m(bytes + 2 * kPage);
	cpu_set_t before, after;
	ASSERT_EQ(0, sched_getaffinity(0, sizeof before, &before));
	EXPECT_EQ(0, prefault(m.at(kPage), bytes, true, every_cpu()));
	EXPECT_EQ(bytes / kPage, m.resident());
	ASSERT_EQ(0, sched_getaffinity(0, sizeof after, &after));
	EXPECT_TRUE(CPU_EQUAL(&before, &after)) << "the caller stays where it was";
	EXPECT_EQ(0, prefault(m.at(kPage), bytes, true, every_cpu())) << "again";
}

TEST(Prefault, MemoryThatIsNotThere)
{
	if (!kernel_populates())
		GTEST_SKIP() << "the kernel has no MADV_POPULATE_WRITE";
	EXPECT_NE(0, prefault(reinterpret_cast<void *>(kPage), kPage, true, every_cpu()));
	// A hole in one chunk of several.
	const Memory m(3 * kChunk);
	ASSERT_EQ(0, munmap(m.at(kChunk + kPage), kPage));
	const int error = prefault(m.at(0), 3 * kChunk, false, every_cpu());
	EXPECT_TRUE(error == ENOMEM || error == EFAULT) << error;
}

// Whoever pins it will refuse; that this cannot prefault it is no reason.
TEST(Prefault, ReadOnlyMemory)
{
	const Memory m(kPage, PROT_READ);
	EXPECT_EQ(0, prefault(m.at(0), kPage, false, every_cpu()));
	const int error = prefault(m.at(0), kPage, true, every_cpu());
	EXPECT_TRUE(error == 0 || error == EFAULT) << error;
}

}  // namespace
}  // namespace iovad::dma
