// SPDX-License-Identifier: BSD-3-Clause
// The backend against a model of the kernel: what it asks, what it takes for success, and
// how it comes through the failures that a real kernel does not give on demand.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "type1_model.h"

namespace iovad::dma {
namespace {

constexpr uint64_t kPage = 4096;

// Never touched.
void *at(uint64_t address) { return reinterpret_cast<void *>(address); }

void expect(const Outcome &o, Status status, const char *word)
{
	EXPECT_EQ(o.status, status) << o.advice;
	EXPECT_NE(std::string(o.advice).find(word), std::string::npos) << "not in: " << o.advice;
}

class Type1BackendTest : public testing::Test {
protected:
	Outcome try_open(int fd = 0) { return VfioType1::open(fd, FdOwner::caller, backend_, model_.source()); }
	VfioType1 &open()
	{
		const Outcome o = try_open();
		EXPECT_TRUE(o.ok()) << o.advice;
		return *backend_;
	}

	Type1Model model_;
	std::unique_ptr<VfioType1> backend_;
};

TEST_F(Type1BackendTest, RefusesWhatIsNoContainer)
{
	expect(try_open(-1), Status::invalid, "no VFIO container");
	model_.fail(VFIO_GET_API_VERSION, ENOTTY, 1);
	expect(try_open(), Status::invalid, "no VFIO container");
	EXPECT_EQ(backend_, nullptr);
}

TEST_F(Type1BackendTest, RefusesWhatTheKernelTakesForNoContainer)
{
	const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	std::unique_ptr<VfioType1> backend;
	const Outcome o = VfioType1::open(fd, FdOwner::backend, backend);
	expect(o, Status::invalid, "no VFIO container");
	EXPECT_EQ(o.error, ENOTTY);
	EXPECT_EQ(close(fd), 0) << "it must not be closed by a call that fails";
}

TEST_F(Type1BackendTest, RefusesAnUnknownApi)
{
	model_.api_version = VFIO_API_VERSION + 1;
	expect(try_open(), Status::not_supported, "API version");
}

TEST_F(Type1BackendTest, RefusesAContainerWithoutADevice)
{
	model_.type = Type1Model::kNone;
	expect(try_open(), Status::not_supported, "bind a device");
}

TEST_F(Type1BackendTest, RefusesAContainerWithoutType1)
{
	model_.knows_type1 = false;
	expect(try_open(), Status::not_supported, "vfio_iommu_type1");
}

TEST_F(Type1BackendTest, RefusesToRunWithoutAnIommu)
{
	model_.knows_type1 = false;
	model_.noiommu = true;
	expect(try_open(), Status::not_supported, "enable_unsafe_noiommu_mode");
}

TEST_F(Type1BackendTest, ClosesTheDescriptorOnlyIfItIsItsOwn)
{
	for (const bool own : {false, true}) {
		const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
		ASSERT_GE(fd, 0);
		ASSERT_TRUE(VfioType1::open(fd, own ? FdOwner::backend : FdOwner::caller, backend_, model_.source())
				    .ok());
		backend_.reset();
		EXPECT_EQ(fcntl(fd, F_GETFD) < 0, own);
		if (!own)
			close(fd);
	}
}

TEST_F(Type1BackendTest, AsksAnewEachTime)
{
	VfioType1 &vfio = open();
	Info info;
	ASSERT_TRUE(vfio.info(info).ok());
	EXPECT_EQ(info.mappings_left, 65535u);
	ASSERT_EQ(info.valid.size(), 2u);

	model_.valid = {{0x1000, 0xffff}};
	model_.entry_limit = 10;
	ASSERT_TRUE(vfio.info(info).ok());
	EXPECT_EQ(info.mappings_left, 10u);
	ASSERT_EQ(info.valid.size(), 1u);
	EXPECT_EQ(info.valid[0].last, 0xffffu);
}

TEST_F(Type1BackendTest, ReadsLongAnswers)
{
	VfioType1 &vfio = open();
	model_.padding = 5000;
	Info info;
	const Outcome o = vfio.info(info);
	ASSERT_TRUE(o.ok()) << o.advice;
	EXPECT_EQ(info.valid.size(), 2u);

	model_.padding = 1u << 20;
	expect(vfio.info(info), Status::failed, "absurdly long");
	EXPECT_EQ(info.valid.size(), 2u);
}

TEST_F(Type1BackendTest, TranslatesDirections)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), kPage, kToDevice).ok());
	ASSERT_TRUE(vfio.map(0x2000, at(0x20000), kPage, kFromDevice).ok());
	ASSERT_TRUE(vfio.map(0x3000, at(0x30000), 2 * kPage, kBidirectional).ok());
	EXPECT_EQ(model_.mappings[0x1000].flags, unsigned{VFIO_DMA_MAP_FLAG_READ});
	EXPECT_EQ(model_.mappings[0x2000].flags, unsigned{VFIO_DMA_MAP_FLAG_WRITE});
	EXPECT_EQ(model_.mappings[0x3000].flags, unsigned{VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE});
	EXPECT_EQ(model_.mappings[0x3000].va, 0x30000u);
	EXPECT_EQ(model_.mappings[0x3000].len, 2 * kPage);
}

TEST_F(Type1BackendTest, AsksNothingThatCannotBe)
{
	VfioType1 &vfio = open();
	const uint64_t top = ~uint64_t{0} - (kPage - 1);
	const int before = model_.calls;
	for (const uint32_t dir : {0u, 4u, 7u})
		expect(vfio.map(0x1000, at(0x10000), kPage, dir), Status::invalid, "direction");
	expect(vfio.map(0x1000, at(0x10000), 0, kToDevice), Status::invalid, "length");
	expect(vfio.map(top, at(0x10000), 2 * kPage, kToDevice), Status::invalid, "length");
	expect(vfio.map(0x1000, at(top), 2 * kPage, kToDevice), Status::invalid, "length");
	expect(vfio.unmap(0x1000, 0), Status::invalid, "length");
	expect(vfio.unmap(top, 2 * kPage), Status::invalid, "length");
	EXPECT_EQ(model_.calls, before);
}

TEST_F(Type1BackendTest, TakesTheLastPageThereIs)
{
	model_.valid = {{0, ~uint64_t{0}}};
	VfioType1 &vfio = open();
	const uint64_t top = ~uint64_t{0} - (kPage - 1);
	ASSERT_TRUE(vfio.map(top, at(0x10000), kPage, kToDevice).ok());
	EXPECT_TRUE(vfio.unmap(top, kPage).ok());
}

TEST_F(Type1BackendTest, MapsOnceOnly)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), 2 * kPage, kToDevice).ok());
	expect(vfio.map(0x1000, at(0x10000), 2 * kPage, kToDevice), Status::exists, "already");
	expect(vfio.map(0x2000, at(0x10000), 2 * kPage, kToDevice), Status::exists, "already");
	EXPECT_EQ(model_.mappings.size(), 1u);
}

TEST_F(Type1BackendTest, SaysWhichLimitWasHit)
{
	model_.entry_limit = 1;
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), kPage, kToDevice).ok());
	const Outcome o = vfio.map(0x2000, at(0x10000), kPage, kToDevice);
	expect(o, Status::no_space, "dma_entry_limit");
	EXPECT_EQ(o.error, ENOSPC);
	model_.fail(VFIO_IOMMU_MAP_DMA, ENOMEM, 1);
	EXPECT_EQ(vfio.map(0x2000, at(0x10000), kPage, kToDevice).status, Status::no_memory);
}

TEST_F(Type1BackendTest, SaysWhatIsWrongWithARequest)
{
	VfioType1 &vfio = open();
	expect(vfio.map(0x1800, at(0x10000), kPage, kToDevice), Status::invalid, "smallest page");
	expect(vfio.map(0x1000, at(0x10800), kPage, kToDevice), Status::invalid, "smallest page");
	expect(vfio.map(0x1000, at(0x10000), kPage + 8, kToDevice), Status::invalid, "smallest page");
	expect(vfio.map(0xfee00000, at(0x10000), kPage, kToDevice), Status::invalid, "reserved");
	expect(vfio.map(0xfedff000, at(0x10000), 2 * kPage, kToDevice), Status::invalid, "reserved");
	expect(vfio.map(0x8000000000, at(0x10000), kPage, kToDevice), Status::invalid, "reserved");
	expect(vfio.unmap(0x1800, kPage), Status::invalid, "smallest page");
}

TEST_F(Type1BackendTest, NoticesThatTheLastDeviceLeft)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), kPage, kToDevice).ok());
	model_.type = Type1Model::kNone;
	expect(vfio.map(0x2000, at(0x10000), kPage, kToDevice), Status::not_supported, "no device");
	EXPECT_TRUE(vfio.unmap(0x1000, kPage).ok());  // it went with the device
	Info info;
	expect(vfio.info(info), Status::not_supported, "no device");
}

TEST_F(Type1BackendTest, UnmapsExactly)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), 2 * kPage, kToDevice).ok());
	ASSERT_TRUE(vfio.map(0x3000, at(0x10000), kPage, kToDevice).ok());
	EXPECT_TRUE(vfio.unmap(0x1000, 2 * kPage).ok());
	EXPECT_EQ(model_.mappings.size(), 1u);
	EXPECT_TRUE(vfio.unmap(0x3000, kPage).ok());
	EXPECT_TRUE(model_.mappings.empty());
}

constexpr Type1Model::Type kVersions[] = {Type1Model::kV1, Type1Model::kV2};

TEST_F(Type1BackendTest, UnmapsARunInOneCall)
{
	for (const auto type : kVersions) {
		model_.type = type;
		VfioType1 &vfio = open();
		for (const uint64_t iova : {0x1000, 0x2000, 0x4000})
			ASSERT_TRUE(vfio.map(iova, at(0x10000), iova == 0x2000 ? 2 * kPage : kPage, kToDevice).ok());
		ASSERT_TRUE(vfio.map(0x5000, at(0x10000), kPage, kToDevice).ok());
		const int before = model_.calls;
		EXPECT_TRUE(vfio.unmap(0x1000, 4 * kPage).ok());
		EXPECT_EQ(model_.calls, before + 1);
		EXPECT_EQ(model_.mappings.size(), 1u);
		EXPECT_TRUE(vfio.unmap(0x5000, kPage).ok());
	}
}

TEST_F(Type1BackendTest, UnmapsARunWithHolesThatAreKnown)
{
	for (const auto type : kVersions) {
		model_.type = type;
		VfioType1 &vfio = open();
		for (const uint64_t iova : {0x1000, 0x3000, 0x8000})
			ASSERT_TRUE(vfio.map(iova, at(0x10000), 2 * kPage, kToDevice).ok());
		EXPECT_TRUE(vfio.unmap(0x1000, 9 * kPage, 6 * kPage).ok());
		EXPECT_TRUE(model_.mappings.empty());
	}
}

TEST_F(Type1BackendTest, DoesNotTakeARunWithAHoleForSuccess)
{
	for (const auto type : kVersions) {
		model_.type = type;
		VfioType1 &vfio = open();
		for (const uint64_t iova : {0x1000, 0x3000})
			ASSERT_TRUE(vfio.map(iova, at(0x10000), kPage, kToDevice).ok());
		expect(vfio.unmap(0x1000, 3 * kPage), Status::failed, "less was unmapped");
		EXPECT_TRUE(model_.mappings.empty());
		for (const uint64_t iova : {0x1000, 0x3000})
			EXPECT_TRUE(vfio.unmap(iova, kPage).ok()) << "gone already";
	}
}

TEST_F(Type1BackendTest, DoesNotTakeARunThatIsCutForSuccess)
{
	VfioType1 &vfio = open();
	const auto map_three = [&] {
		model_.mappings.clear();
		for (const uint64_t iova : {0x1000, 0x3000, 0x5000})
			ASSERT_TRUE(vfio.map(iova, at(0x10000), 2 * kPage, kToDevice).ok());
	};
	for (const auto type : kVersions) {
		model_.type = type;
		const bool v1 = type == Type1Model::kV1;
		map_three();
		expect(vfio.unmap(0x1000, 5 * kPage), v1 ? Status::failed : Status::invalid, v1 ? "more was" : "cuts");
		EXPECT_EQ(model_.mappings.size(), v1 ? 0u : 3u);
		map_three();
		expect(vfio.unmap(0x2000, 5 * kPage), v1 ? Status::not_found : Status::invalid, v1 ? "nothing was" : "cuts");
		EXPECT_EQ(model_.mappings.size(), 3u);
	}
}

// Up to the first that the kernel refuses to remove.
TEST_F(Type1BackendTest, ARunThatFailedInPartIsRetriedMappingByMapping)
{
	for (const auto type : kVersions) {
		model_.type = type;
		VfioType1 &vfio = open();
		for (const uint64_t iova : {0x1000, 0x2000, 0x3000})
			ASSERT_TRUE(vfio.map(iova, at(0x10000), kPage, kToDevice).ok());
		model_.mappings[0x2000].others = true;
		expect(vfio.unmap(0x1000, 3 * kPage), Status::failed, "less was unmapped");
		EXPECT_TRUE(vfio.unmap(0x1000, kPage).ok()) << "gone already";
		expect(vfio.unmap(0x2000, kPage), Status::not_found, "nothing was unmapped");
		EXPECT_TRUE(vfio.unmap(0x3000, kPage).ok());
		EXPECT_EQ(model_.mappings.size(), 1u);
		model_.mappings.clear();
	}
}

TEST_F(Type1BackendTest, ARunGoneWithTheLastDeviceIsDone)
{
	VfioType1 &vfio = open();
	for (const uint64_t iova : {0x1000, 0x2000})
		ASSERT_TRUE(vfio.map(iova, at(0x10000), kPage, kToDevice).ok());
	model_.mappings.clear();  // and another device came
	EXPECT_TRUE(vfio.unmap(0x1000, 2 * kPage).ok());
	model_.type = Type1Model::kNone;
	EXPECT_TRUE(vfio.unmap(0x1000, 2 * kPage).ok());
}

// Prior art: silent corruption after an unmap of size 0.
TEST_F(Type1BackendTest, DoesNotTakeSizeZeroForSuccess)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), 4 * kPage, kToDevice).ok());
	expect(vfio.unmap(0x2000, kPage), Status::not_found, "nothing was unmapped");
	EXPECT_EQ(model_.mappings.size(), 1u);
}

// The last device left, and another one came before the unmap.
TEST_F(Type1BackendTest, UnmapsWhatIsGoneAlready)
{
	for (const auto type : {Type1Model::kV1, Type1Model::kV2}) {
		model_.type = type;
		model_.entry_limit = 1;
		VfioType1 &vfio = open();
		ASSERT_TRUE(vfio.map(0x1000, at(0x10000), 4 * kPage, kToDevice).ok());
		EXPECT_TRUE(vfio.unmap(0x9000, kPage).ok()) << "without a mapping left";
		model_.mappings.clear();
		EXPECT_TRUE(vfio.unmap(0x1000, 4 * kPage).ok());
		EXPECT_TRUE(model_.mappings.empty());
		model_.fail(VFIO_IOMMU_MAP_DMA, EPERM, 1);
		expect(vfio.unmap(0x1000, kPage), Status::not_found, "nothing was unmapped");
	}
}

TEST_F(Type1BackendTest, DoesNotTakeAnotherSizeForSuccess)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), 4 * kPage, kToDevice).ok());
	expect(vfio.unmap(0x1000, kPage), Status::failed, "more was unmapped");
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), kPage, kToDevice).ok());
	expect(vfio.unmap(0x1000, 2 * kPage), Status::failed, "less was unmapped");
}

TEST_F(Type1BackendTest, ReportsThatVersion2RefusesToCut)
{
	model_.type = Type1Model::kV2;
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), 4 * kPage, kToDevice).ok());
	expect(vfio.unmap(0x1000, kPage), Status::invalid, "cuts a mapping");
	expect(vfio.unmap(0x2000, kPage), Status::invalid, "cuts a mapping");
	EXPECT_TRUE(vfio.unmap(0x1000, 4 * kPage).ok());
}

TEST_F(Type1BackendTest, TriesAgainAfterAnInterruption)
{
	VfioType1 &vfio = open();
	for (const int error : {EINTR, EAGAIN}) {
		model_.fail(VFIO_IOMMU_MAP_DMA, error, 3);
		ASSERT_TRUE(vfio.map(0x1000, at(0x10000), kPage, kToDevice).ok());
		model_.fail(VFIO_IOMMU_UNMAP_DMA, error, 3);
		EXPECT_TRUE(vfio.unmap(0x1000, kPage).ok());
		model_.fail(VFIO_IOMMU_GET_INFO, error, 3);
		Info info;
		EXPECT_TRUE(vfio.info(info).ok());
	}
}

TEST_F(Type1BackendTest, DoesNotTryForEver)
{
	VfioType1 &vfio = open();
	model_.fail(VFIO_IOMMU_MAP_DMA, EAGAIN, 1000000);
	const Outcome o = vfio.map(0x1000, at(0x10000), kPage, kToDevice);
	expect(o, Status::again, "interrupted");
	EXPECT_EQ(o.error, EAGAIN);
	EXPECT_LT(model_.calls, 100);
}

TEST_F(Type1BackendTest, FailsWhereTheKernelFails)
{
	VfioType1 &vfio = open();
	ASSERT_TRUE(vfio.map(0x1000, at(0x10000), kPage, kToDevice).ok());
	model_.fail(VFIO_IOMMU_UNMAP_DMA, EIO, 1);
	expect(vfio.unmap(0x1000, kPage), Status::failed, "kernel's log");
	model_.fail(VFIO_IOMMU_GET_INFO, EFAULT, 1);
	Info info;
	expect(vfio.info(info), Status::failed, "kernel's log");
}

}  // namespace
}  // namespace iovad::dma
