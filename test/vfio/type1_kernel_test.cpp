// SPDX-License-Identifier: BSD-3-Clause
// The backend against the kernel, with a device behind a real or an emulated IOMMU. Runs
// where IOVAD_TEST_VFIO_DEVICE names one (test/vm makes a machine that has it), with both
// versions of type1. Each test ends with as many mappings as it began with.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/mman.h>
#include <linux/vfio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "container.h"
#include "dma/vfio/vfio_type1.h"
#include "lowered_limits.h"

namespace iovad::dma {
namespace {

constexpr uint64_t kPage = 4096, kMiB = uint64_t{1} << 20;
constexpr uint64_t kBase = 64 * kMiB;  // below all holes

void expect(const Outcome &o, Status status, const char *word)
{
	EXPECT_EQ(o.status, status) << o.advice << ", errno " << o.error;
	EXPECT_NE(std::string(o.advice).find(word), std::string::npos) << "not in: " << o.advice;
}

// Memory of the process, page aligned.
class Memory {
public:
	explicit Memory(uint64_t len, int protection = PROT_READ | PROT_WRITE, int flags = MAP_ANONYMOUS,
			int fd = -1)
		: len_(len), va_(mmap(nullptr, len, protection, MAP_PRIVATE | flags, fd, 0))
	{
	}
	~Memory()
	{
		if (valid())
			munmap(va_, len_);
	}
	Memory(const Memory &) = delete;
	Memory &operator=(const Memory &) = delete;

	bool valid() const { return va_ != MAP_FAILED; }
	void *at(uint64_t offset) const { return static_cast<char *>(va_) + offset; }

private:
	uint64_t len_;
	void *va_;
};

class Type1KernelTest : public testing::TestWithParam<int> {
protected:
	void SetUp() override { attach(); }
	void TearDown() override
	{
		if (backend_ && !detached_) {
			EXPECT_EQ(left(), left_) << "mappings left behind";
		}
	}

	void attach()
	{
		backend_.reset();
		container_.reset();
		std::string why;
		container_ = Container::with_device(GetParam(), why);
		if (!container_)
			GTEST_SKIP() << why;
		const Outcome o = VfioType1::open(container_->fd(), FdOwner::caller, backend_);
		ASSERT_TRUE(o.ok()) << o.advice << ", errno " << o.error;
		left_ = left();
	}
	void detach()
	{
		container_->detach();
		detached_ = true;
	}
	Info info()
	{
		Info info;
		const Outcome o = backend_->info(info);
		EXPECT_TRUE(o.ok()) << o.advice;
		return info;
	}
	uint64_t left() { return info().mappings_left; }
	void map(uint64_t iova, void *va, uint64_t len, uint32_t dir = kBidirectional)
	{
		const Outcome o = backend_->map(iova, va, len, dir);
		ASSERT_TRUE(o.ok()) << o.advice << ", errno " << o.error;
	}
	void unmap(uint64_t iova, uint64_t len)
	{
		const Outcome o = backend_->unmap(iova, len);
		ASSERT_TRUE(o.ok()) << o.advice << ", errno " << o.error;
	}

	std::optional<Container> container_;
	std::unique_ptr<VfioType1> backend_;
	uint64_t left_ = 0;
	bool detached_ = false;
};

TEST(Type1KernelAloneTest, RefusesAContainerWithoutADevice)
{
	std::string why;
	const auto container = Container::without_device(why);
	if (!container)
		GTEST_SKIP() << why;
	std::unique_ptr<VfioType1> backend;
	const Outcome o = VfioType1::open(container->fd(), FdOwner::caller, backend);
	expect(o, Status::not_supported, "bind a device");
	EXPECT_EQ(o.error, EINVAL);
}

TEST_P(Type1KernelTest, SaysWhatTheIommuCanDo)
{
	const Info i = info();
	std::cout << std::hex << "pages 0x" << i.page_sizes << ", mappings left " << std::dec << i.mappings_left
		  << ", valid" << std::hex;
	for (const Span &s : i.valid)
		std::cout << " 0x" << s.first << "-0x" << s.last;
	std::cout << std::dec << std::endl;

	EXPECT_TRUE(i.page_sizes & kPage);
	EXPECT_GT(i.mappings_left, 0u);
	ASSERT_FALSE(i.valid.empty());
	for (size_t n = 0; n < i.valid.size(); n++) {
		EXPECT_LT(i.valid[n].first, i.valid[n].last);
		EXPECT_TRUE(n == 0 || i.valid[n - 1].last < i.valid[n].first);
	}
}

TEST_P(Type1KernelTest, MapsInEachDirection)
{
	const Memory memory(3 * kPage);
	for (const uint32_t dir : {kToDevice, kFromDevice, kBidirectional}) {
		map(kBase, memory.at(0), 3 * kPage, dir);
		EXPECT_EQ(left(), left_ - 1);
		unmap(kBase, 3 * kPage);
		EXPECT_EQ(left(), left_);
	}
}

TEST_P(Type1KernelTest, MapsMuchAtOnce)
{
	const Memory memory(64 * kMiB);
	map(kBase, memory.at(0), 64 * kMiB);
	EXPECT_EQ(left(), left_ - 1);
	unmap(kBase, 64 * kMiB);
}

TEST_P(Type1KernelTest, MapsHugePages)
{
	const uint64_t len = 8 * kMiB;
	const Memory memory(len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB);
	if (!memory.valid())
		GTEST_SKIP() << "no huge pages of 2 MiB are free";
	map(kBase, memory.at(0), len);
	EXPECT_EQ(left(), left_ - 1);
	unmap(kBase, len);
}

TEST_P(Type1KernelTest, MapsAnAddressOnceAndMemoryTwice)
{
	const Memory memory(4 * kPage);
	map(kBase, memory.at(0), 2 * kPage);
	expect(backend_->map(kBase, memory.at(0), 2 * kPage, kBidirectional), Status::exists, "already");
	expect(backend_->map(kBase + kPage, memory.at(0), 2 * kPage, kBidirectional), Status::exists, "already");
	expect(backend_->map(kBase - kPage, memory.at(0), 4 * kPage, kBidirectional), Status::exists, "already");
	map(kBase + 2 * kPage, memory.at(0), 2 * kPage);
	unmap(kBase, 2 * kPage);
	unmap(kBase + 2 * kPage, 2 * kPage);
}

TEST_P(Type1KernelTest, UnmapsWhatIsGoneAlready)
{
	unmap(kBase, kPage);
	const Memory memory(kPage);
	map(kBase, memory.at(0), kPage);
	unmap(kBase, kPage);
	unmap(kBase, kPage);
	EXPECT_EQ(left(), left_);
}

TEST_P(Type1KernelTest, NoticesAnUnmapOfTheInside)
{
	const Memory memory(4 * kPage);
	map(kBase, memory.at(0), 4 * kPage);
	const Outcome o = backend_->unmap(kBase + kPage, kPage);
	if (GetParam() == VFIO_TYPE1_IOMMU)
		expect(o, Status::not_found, "nothing was unmapped");
	else
		expect(o, Status::invalid, "cuts a mapping");
	EXPECT_EQ(left(), left_ - 1);
	unmap(kBase, 4 * kPage);
}

TEST_P(Type1KernelTest, NoticesAnUnmapOfTheBeginning)
{
	const Memory memory(4 * kPage);
	map(kBase, memory.at(0), 4 * kPage);
	const Outcome o = backend_->unmap(kBase, kPage);
	if (GetParam() == VFIO_TYPE1_IOMMU) {
		expect(o, Status::failed, "more was unmapped");
		EXPECT_EQ(left(), left_) << "version 1 removes all of it";
	} else {
		expect(o, Status::invalid, "cuts a mapping");
		unmap(kBase, 4 * kPage);
	}
}

TEST_P(Type1KernelTest, NoticesAnUnmapBeyondTheEnd)
{
	const Memory memory(kPage);
	map(kBase, memory.at(0), kPage);
	expect(backend_->unmap(kBase, 2 * kPage), Status::failed, "less was unmapped");
}

TEST_P(Type1KernelTest, UnmapsARunInOneCall)
{
	const Memory memory(4 * kPage);
	// The same memory or not, of any length and direction: what counts is that they touch.
	const auto map_run = [&] {
		map(kBase, memory.at(0), kPage);
		map(kBase + kPage, memory.at(0), 2 * kPage, kToDevice);
		map(kBase + 3 * kPage, memory.at(3 * kPage), kPage, kFromDevice);
	};
	map_run();
	EXPECT_EQ(left(), left_ - 3);
	unmap(kBase, 4 * kPage);
	EXPECT_EQ(left(), left_);
	map_run();
	unmap(kBase + kPage, 3 * kPage);
	EXPECT_EQ(left(), left_ - 1) << "its neighbour stays";
	unmap(kBase, kPage);
}

TEST_P(Type1KernelTest, UnmapsARunWithAHoleAndNoticesOneThatIsNotKnown)
{
	const Memory memory(kPage);
	const auto map_two = [&] {
		map(kBase, memory.at(0), kPage);
		map(kBase + 2 * kPage, memory.at(0), kPage);
	};
	map_two();
	EXPECT_TRUE(backend_->unmap(kBase, 3 * kPage, 2 * kPage).ok());
	EXPECT_EQ(left(), left_);
	map_two();
	expect(backend_->unmap(kBase, 3 * kPage), Status::failed, "less was unmapped");
	EXPECT_EQ(left(), left_) << "all that was there is gone";
	unmap(kBase, kPage);
	unmap(kBase + 2 * kPage, kPage);
}

TEST_P(Type1KernelTest, NoticesARunThatEndsInsideAMapping)
{
	const Memory memory(2 * kPage);
	map(kBase, memory.at(0), 2 * kPage);
	map(kBase + 2 * kPage, memory.at(0), 2 * kPage);
	const Outcome o = backend_->unmap(kBase, 3 * kPage);
	if (GetParam() == VFIO_TYPE1_IOMMU) {
		expect(o, Status::failed, "more was unmapped");
		EXPECT_EQ(left(), left_);
	} else {
		expect(o, Status::invalid, "cuts a mapping");
		EXPECT_EQ(left(), left_ - 2);
	}
	unmap(kBase, 2 * kPage);
	unmap(kBase + 2 * kPage, 2 * kPage);
}

TEST_P(Type1KernelTest, RefusesWhatIsNotAligned)
{
	const Memory memory(2 * kPage);
	expect(backend_->map(kBase + 512, memory.at(0), kPage, kToDevice), Status::invalid, "smallest page");
	expect(backend_->map(kBase, memory.at(512), kPage, kToDevice), Status::invalid, "smallest page");
	expect(backend_->map(kBase, memory.at(0), 512, kToDevice), Status::invalid, "smallest page");
	expect(backend_->unmap(kBase + 512, kPage), Status::invalid, "smallest page");
}

TEST_P(Type1KernelTest, RefusesHolesAndWhatIsBeyondTheAperture)
{
	const Memory memory(2 * kPage);
	unsigned edges = 0;
	for (const Span &span : info().valid) {
		map(span.last - (kPage - 1), memory.at(0), kPage);
		unmap(span.last - (kPage - 1), kPage);
		if (span.last == ~uint64_t{0})
			break;
		edges++;
		expect(backend_->map(span.last + 1, memory.at(0), kPage, kBidirectional), Status::invalid, "reserved");
		expect(backend_->map(span.last - (kPage - 1), memory.at(0), 2 * kPage, kBidirectional),
		       Status::invalid, "reserved");
	}
	EXPECT_GT(edges, 0u) << "this IOMMU has neither holes nor an end";
}

TEST_P(Type1KernelTest, RefusesMemoryThatCannotBePinned)
{
	const Memory nothing(kPage, PROT_NONE);
	expect(backend_->map(kBase, nothing.at(0), kPage, kToDevice), Status::invalid, "pinned");
	const Memory constant(kPage, PROT_READ);
	expect(backend_->map(kBase, constant.at(0), kPage, kFromDevice), Status::invalid, "pinned");
	const Fd file(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	const Memory program(kPage, PROT_READ, 0, file.get());
	expect(backend_->map(kBase, program.at(0), kPage, kBidirectional), Status::invalid, "pinned");
}

TEST_P(Type1KernelTest, UndoesAMapThatFailsHalfWay)
{
	const Memory memory(8 * kPage);
	ASSERT_EQ(mprotect(memory.at(6 * kPage), kPage, PROT_NONE), 0);
	expect(backend_->map(kBase, memory.at(0), 8 * kPage, kBidirectional), Status::invalid, "pinned");
	EXPECT_EQ(left(), left_);
	unmap(kBase, 8 * kPage);  // nothing is
}

TEST_P(Type1KernelTest, RunsOutOfMappings)
{
	constexpr unsigned kLimit = 5;
	const LowerEntryLimit lower(kLimit);
	if (!lower.ok())
		GTEST_SKIP() << "dma_entry_limit cannot be written";
	attach();
	ASSERT_FALSE(IsSkipped() || HasFatalFailure());
	const Memory memory(kPage);
	uint64_t count = 0;
	while (count < left_) {
		map(kBase + count * kPage, memory.at(0), kPage);
		count++;
	}
	EXPECT_EQ(left(), 0u);
	const Outcome o = backend_->map(kBase + count * kPage, memory.at(0), kPage, kBidirectional);
	expect(o, Status::no_space, "dma_entry_limit is 5 now");
	EXPECT_EQ(o.error, ENOSPC);

	unmap(kBase, kPage);
	map(kBase + count * kPage, memory.at(0), kPage);
	for (uint64_t i = 1; i <= count; i++)
		unmap(kBase + i * kPage, kPage);
}

TEST_P(Type1KernelTest, RunsOutOfLockedMemory)
{
	const Memory memory(kMiB);
	{
		const LowerMemlock lower(64 * 1024);
		if (!lower.ok())
			GTEST_SKIP() << "RLIMIT_MEMLOCK or CAP_IPC_LOCK cannot be lowered";
		const Outcome o = backend_->map(kBase, memory.at(0), kMiB, kBidirectional);
		expect(o, Status::no_memory, "ulimit -l");
		EXPECT_EQ(o.error, ENOMEM);
		EXPECT_EQ(left(), left_) << "all or nothing";

		map(kBase, memory.at(0), 48 * 1024);
		expect(backend_->map(kBase + kMiB, memory.at(0), 48 * 1024, kBidirectional), Status::no_memory,
		       "is 64 KiB now");
		unmap(kBase, 48 * 1024);
	}
	map(kBase, memory.at(0), kMiB);
	unmap(kBase, kMiB);
}

TEST_P(Type1KernelTest, LosesAllWithTheLastDevice)
{
	const Memory memory(kPage);
	map(kBase, memory.at(0), kPage);
	detach();
	expect(backend_->map(kBase + kPage, memory.at(0), kPage, kToDevice), Status::not_supported, "no device");
	EXPECT_TRUE(backend_->unmap(kBase, kPage).ok());  // it went with the device
	Info ignored;
	expect(backend_->info(ignored), Status::not_supported, "no device");
}

// Before Linux 6.0 it may not, and is told so by a size of 0.
TEST_P(Type1KernelTest, KnowsWhetherAnotherProcessCouldUnmap)
{
	const Memory memory(kPage);
	map(kBase, memory.at(0), kPage);
	const pid_t child = fork();
	ASSERT_GE(child, 0);
	if (child == 0)
		_exit(static_cast<int>(backend_->unmap(kBase, kPage).status));
	int status = -1;
	ASSERT_EQ(waitpid(child, &status, 0), child);
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == static_cast<int>(Status::ok)) {
		EXPECT_EQ(left(), left_);
	} else {
		EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Status::not_found));
		unmap(kBase, kPage);
	}
}

TEST_P(Type1KernelTest, ServesSeveralThreads)
{
	constexpr unsigned kThreads = 4, kRounds = 50;
	const Memory memory(kThreads * 2 * kPage);
	std::atomic<unsigned> failures = 0;
	std::vector<std::thread> threads;
	for (unsigned t = 0; t < kThreads; t++)
		threads.emplace_back([this, t, &memory, &failures] {
			const uint64_t iova = kBase + t * 2 * kPage;
			for (unsigned round = 0; round < kRounds; round++)
				failures += !backend_->map(iova, memory.at(t * 2 * kPage), 2 * kPage, kBidirectional).ok() ||
					    !backend_->unmap(iova, 2 * kPage).ok();
		});
	for (std::thread &thread : threads)
		thread.join();
	EXPECT_EQ(failures, 0u);
}

INSTANTIATE_TEST_SUITE_P(Versions, Type1KernelTest, testing::Values(VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU),
			 [](const auto &version) {
				 return version.param == VFIO_TYPE1_IOMMU ? "v1" : "v2";
			 });

}  // namespace
}  // namespace iovad::dma
