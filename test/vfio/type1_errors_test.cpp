// SPDX-License-Identifier: BSD-3-Clause
// Which status and which words each errno of type1 becomes.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "dma/vfio/static_text.h"
#include "dma/vfio/type1_errors.h"

namespace iovad::dma {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

void expect(const Outcome &o, Status status, const char *word)
{
	EXPECT_EQ(o.status, status) << o.advice;
	EXPECT_NE(std::string(o.advice).find(word), std::string::npos) << "not in: " << o.advice;
}

Outcome mapping(int error, Placement placement = Placement::fits, const KernelLimits &limits = {})
{
	const Outcome o = map_failure(error, placement, kMiB, limits);
	EXPECT_EQ(o.error, error);
	return o;
}

TEST(Type1ErrorsTest, NamesTheBudgetOfMappings)
{
	KernelLimits limits;
	expect(mapping(ENOSPC, Placement::fits, limits), Status::no_space, "dma_entry_limit");
	limits.entry_limit = 1234;
	expect(mapping(ENOSPC, Placement::fits, limits), Status::no_space, "dma_entry_limit is 1234 now");
}

TEST(Type1ErrorsTest, TellsLockedMemoryFromMemory)
{
	KernelLimits limits;
	expect(mapping(ENOMEM, Placement::fits, limits), Status::no_memory, "no memory");
	limits.memlock_bytes = 8 * kMiB;
	limits.locked_bytes = 7 * kMiB;
	expect(mapping(ENOMEM, Placement::fits, limits), Status::no_memory, "no memory");
	limits.locked_bytes++;
	expect(mapping(ENOMEM, Placement::fits, limits), Status::no_memory, "ulimit -l");
	expect(mapping(ENOMEM, Placement::fits, limits), Status::no_memory, "is 8192 KiB now");
	limits.locked_bytes = 9 * kMiB;  // the limit was lowered later
	expect(mapping(ENOMEM, Placement::fits, limits), Status::no_memory, "--ulimit memlock=-1");
}

TEST(Type1ErrorsTest, FindsWhatIsWrongWithTheRequest)
{
	for (const int error : {EINVAL, EFAULT, ERANGE}) {
		expect(mapping(error, Placement::outside), Status::invalid, "reserved");
		expect(mapping(error, Placement::misaligned), Status::invalid, "smallest page");
		expect(mapping(error, Placement::no_iommu), Status::not_supported, "vfio-pci");
	}
	expect(mapping(EINVAL, Placement::fits), Status::invalid, "not known");
	expect(mapping(EFAULT, Placement::fits), Status::invalid, "pinned");
	expect(mapping(EFAULT, Placement::unknown), Status::invalid, "pinned");
}

TEST(Type1ErrorsTest, HasAStatusForEachErrno)
{
	expect(mapping(EEXIST), Status::exists, "already");
	expect(mapping(EOPNOTSUPP), Status::not_supported, "DAX");
	expect(mapping(ENODEV), Status::not_supported, "vfio-pci");
	expect(mapping(ENOTTY), Status::not_supported, "vfio-pci");
	expect(mapping(EPERM), Status::denied, "may not");
	expect(mapping(EACCES), Status::denied, "may not");
	expect(mapping(EBADF), Status::invalid, "not open");
	expect(mapping(EINTR), Status::again, "interrupted");
	expect(mapping(EAGAIN), Status::again, "interrupted");
	expect(mapping(EBUSY), Status::busy, "live update");
	expect(mapping(EIO), Status::failed, "kernel's log");
}

TEST(Type1ErrorsTest, ExplainsAFailedUnmap)
{
	expect(unmap_failure(EINVAL, Placement::fits), Status::invalid, "cuts a mapping");
	expect(unmap_failure(EINVAL, Placement::outside), Status::invalid, "cuts a mapping");
	expect(unmap_failure(EINVAL, Placement::misaligned), Status::invalid, "smallest page");
	expect(unmap_failure(ENOENT, Placement::fits), Status::not_found, "no mapping begins");
	expect(unmap_failure(EBADF, Placement::unknown), Status::invalid, "not open");
}

TEST(Type1ErrorsTest, ExplainsASizeThatIsNotTheOneAskedFor)
{
	expect(unmap_mismatch(0, 8192), Status::not_found, "nothing was unmapped");
	expect(unmap_mismatch(4096, 8192), Status::failed, "less was unmapped");
	expect(unmap_mismatch(16384, 8192), Status::failed, "more was unmapped");
}

TEST(Type1ErrorsTest, ExplainsAContainerWithoutAnIommu)
{
	expect(info_failure(EINVAL), Status::not_supported, "dpdk-devbind.py");
	expect(info_failure(ENOTTY), Status::not_supported, "dpdk-devbind.py");
	expect(info_failure(ENOMEM), Status::no_memory, "memory");
}

TEST(Type1ErrorsTest, ReadsTheLimitsOfThisMachine)
{
	const KernelLimits limits = read_kernel_limits();
	if (limits.entry_limit) {
		EXPECT_GT(*limits.entry_limit, 0u);
	}
	EXPECT_EQ(limits.locked_bytes % 1024, 0u);
}

TEST(StaticTextTest, KeepsATextOnce)
{
	EXPECT_EQ(static_text("a text", "plain"), static_text("a text", "plain"));
	EXPECT_STREQ(static_text("a text", "plain"), "a text");
}

TEST(StaticTextTest, IsBounded)
{
	bool gave_up = false;
	for (int i = 0; i < 1000 && !gave_up; i++)
		gave_up = std::string("plain") == static_text("text " + std::to_string(i), "plain");
	EXPECT_TRUE(gave_up);
}

}  // namespace
}  // namespace iovad::dma
