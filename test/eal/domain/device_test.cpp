// SPDX-License-Identifier: BSD-3-Clause
// iovad_device.h: what devices reach, and why not; that unmapping waits for them; and what they
// keep from going.
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include "../captured_log.h"
#include "../test_domain.h"
#include "iovad/iovad_device.h"

namespace iovad::test {
namespace {

iovad_domain_conf soft_conf()
{
	iovad_domain_conf conf = conf_of(0, uint64_t{1} << 36);
	conf.backend = IOVAD_BACKEND_SOFT;
	return conf;
}

struct DestroyDevice {
	void operator()(iovad_device *device) const { iovad_device_destroy(device); }
};
using Device = std::unique_ptr<iovad_device, DestroyDevice>;

class DeviceTest : public testing::Test {
protected:
	DeviceTest() : domain(soft_conf()), device(iovad_device_create(domain)) {}

	rte_iova_t map(void *va, uint64_t len, uint32_t dir)
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, iovad_map(domain, va, len, kNoLimit, dir, &iova));
		return iova;
	}
	void expect_fault(iovad_fault expected, rte_iova_t iova, uint64_t len, uint32_t dir)
	{
		iovad_fault why = IOVAD_FAULT_NONE;
		iovad_device_begin(device.get());
		EXPECT_EQ(nullptr, iovad_device_reach(device.get(), iova, len, dir, &why));
		EXPECT_EQ(nullptr, iovad_device_reach(device.get(), iova, len, dir, nullptr));
		iovad_device_end(device.get());
		EXPECT_EQ(expected, why);
	}

	TestDomain domain;
	Device device;
	alignas(kPage) char page[2 * kPage];
};

TEST_F(DeviceTest, ReachesWhatIsMapped)
{
	const rte_iova_t iova = map(page, kPage, IOVAD_BIDIRECTIONAL);
	iovad_fault why = IOVAD_FAULT_SPLIT;
	iovad_device_begin(device.get());
	EXPECT_EQ(page + 5, iovad_device_reach(device.get(), iova + 5, 100, IOVAD_BIDIRECTIONAL, &why));
	EXPECT_EQ(IOVAD_FAULT_NONE, why);
	EXPECT_EQ(page, iovad_device_reach(device.get(), iova, kPage, IOVAD_TO_DEVICE, nullptr));
	iovad_device_end(device.get());
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
	expect_fault(IOVAD_FAULT_NOT_MAPPED, iova, 1, IOVAD_TO_DEVICE);
}

TEST_F(DeviceTest, SaysWhyNot)
{
	const rte_iova_t to = map(page, kPage, IOVAD_TO_DEVICE), from = map(page + kPage, kPage, IOVAD_FROM_DEVICE);
	expect_fault(IOVAD_FAULT_NO_WRITE, to, 1, IOVAD_FROM_DEVICE);
	expect_fault(IOVAD_FAULT_NO_READ, from, 1, IOVAD_TO_DEVICE);
	expect_fault(IOVAD_FAULT_CROSSES, std::max(to, from) + kPage - 1, 2,
		     to > from ? IOVAD_TO_DEVICE : IOVAD_FROM_DEVICE);
	expect_fault(IOVAD_FAULT_NOT_MAPPED, kPage, 1, IOVAD_TO_DEVICE);
	expect_fault(IOVAD_FAULT_BEYOND, ~uint64_t{0}, 1, IOVAD_TO_DEVICE);
	EXPECT_EQ(0, iovad_unmap(domain, to, kPage));
	EXPECT_EQ(0, iovad_unmap(domain, from, kPage));
}

TEST_F(DeviceTest, SaysThatMemoryIsInPieces)
{
	const rte_iova_t high = map(page, kPage, IOVAD_TO_DEVICE), low = map(page + kPage, kPage, IOVAD_TO_DEVICE);
	ASSERT_EQ(high, low + kPage);
	expect_fault(IOVAD_FAULT_SPLIT, low, 2 * kPage, IOVAD_TO_DEVICE);
	EXPECT_EQ(0, iovad_unmap(domain, high, kPage));
	EXPECT_EQ(0, iovad_unmap(domain, low, kPage));
}

TEST_F(DeviceTest, UnmappingWaitsForIt)
{
	const rte_iova_t iova = map(page, kPage, IOVAD_FROM_DEVICE);
	iovad_device_begin(device.get());
	char *memory = static_cast<char *>(iovad_device_reach(device.get(), iova, kPage, IOVAD_FROM_DEVICE, nullptr));
	ASSERT_EQ(page, memory);
	std::atomic<bool> begun = false;
	std::thread unmapper([&] {
		begun = true;
		EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
		std::memset(page, 'x', kPage);
	});
	while (!begun)
		std::this_thread::yield();
	// Until it is found no more, which comes before the wait.
	while (iovad_iova2va(domain, iova, 1))
		std::this_thread::yield();
	std::memset(memory, 'd', kPage);
	iovad_device_end(device.get());
	unmapper.join();
	EXPECT_EQ(std::string(kPage, 'x'), std::string(page, kPage));
}

TEST_F(DeviceTest, KeepsTheDomain)
{
	Log log;
	EXPECT_EQ(-EBUSY, iovad_domain_destroy(domain));
	EXPECT_NE(std::string::npos, log.text().find("not destroyed, devices of this process use it"));
	// It works as before.
	const rte_iova_t iova = map(page, kPage, IOVAD_TO_DEVICE);
	EXPECT_EQ(0, iovad_unmap(domain, iova, kPage));
}

TEST(DeviceCreation, IsRefusedWithoutASoftwareIommu)
{
	rte_errno = 0;
	EXPECT_EQ(nullptr, iovad_device_create(nullptr));
	EXPECT_EQ(EINVAL, rte_errno);
	TestDomain bare(conf_of(0, 0));
	EXPECT_EQ(nullptr, iovad_device_create(bare));
	EXPECT_EQ(ENOTSUP, rte_errno);
	iovad_device_destroy(nullptr);
}

}  // namespace
}  // namespace iovad::test
