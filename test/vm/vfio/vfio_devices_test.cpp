// SPDX-License-Identifier: BSD-3-Clause
// Devices that join and leave while a domain is there. In a process of its own, started
// with one device; IOVAD_TEST_SECOND_DEVICE is the address of another one.
#include <rte_dev.h>

#include "machine.h"

namespace iovad::test {
namespace {

class VfioDevices : public WithVfio {
protected:
	void SetUp() override
	{
		WithVfio::SetUp();
		if (!second())
			GTEST_SKIP() << "IOVAD_TEST_SECOND_DEVICE is not set";
	}
	static const char *second() { return std::getenv("IOVAD_TEST_SECOND_DEVICE"); }
	static std::vector<std::string> devices()
	{
		std::vector<std::string> names;
		rte_dev_iterator iterator;
		rte_device *device;
		RTE_DEV_FOREACH(device, "bus=pci", &iterator) {
			if (rte_dev_is_probed(device))
				names.emplace_back(rte_dev_name(device));
		}
		return names;
	}
	static void remove_all()
	{
		for (const std::string &name : devices()) {
			rte_dev_iterator iterator;
			rte_device *device, *found = nullptr;
			RTE_DEV_FOREACH(device, "bus=pci", &iterator) {
				if (name == rte_dev_name(device))
					found = device;
			}
			ASSERT_NE(nullptr, found);
			EXPECT_EQ(0, rte_dev_remove(found)) << name;
		}
	}
};

TEST_F(VfioDevices, JoinLeaveAndComeBack)
{
	const std::vector<std::string> first = devices();
	ASSERT_EQ(1u, first.size());
	const Buffer memory(3 * kMiB);
	rte_iova_t buffer = 0, late = 0, region = 0;
	{
		TestDomain d(conf());
		ASSERT_EQ(0, iovad_map(d, memory.at(), kMiB, kLimit32, IOVAD_BIDIRECTIONAL, &buffer));

		// A second one joins: what is mapped stays, more can be.
		ASSERT_EQ(0, rte_dev_probe(second()));
		EXPECT_EQ(2u, devices().size());
		EXPECT_EQ(0, iovad_domain_refresh(d));
		EXPECT_EQ("", reaches(buffer, memory.at(), kMiB));
		ASSERT_EQ(0, iovad_region_add(d, memory.at(kMiB), kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &region));
		EXPECT_EQ("", reaches(region, memory.at(kMiB), kMiB));
		ASSERT_EQ(0, iovad_map(d, memory.at(2 * kMiB), kMiB, kNoLimit, IOVAD_TO_DEVICE, &late));

		// All leave: the kernel ends all mappings, and unmapping goes without saying.
		remove_all();
		EXPECT_EQ(0u, devices().size());
		trace->catch_up();
		EXPECT_EQ(0u, trace->size());
		EXPECT_EQ(0, iovad_unmap(d, buffer, kMiB));
		EXPECT_EQ(0, iovad_region_remove(d, memory.at(kMiB), kMiB));
		{
			LogLines log;
			expect_refused(d, ENOTSUP, [&] {
				return iovad_map(d, memory.at(), kMiB, kNoLimit, IOVAD_BIDIRECTIONAL, &buffer);
			});
			EXPECT_TRUE(log.says("bind a device to vfio-pci"));
			EXPECT_EQ(-ENOTSUP, iovad_domain_refresh(d));
			iovad_domain_conf c = conf();
			c.name = "early";
			EXPECT_EQ(nullptr, iovad_domain_create(&c));
			EXPECT_EQ(ENOTSUP, rte_errno);
		}

		// One comes back, into an empty page table, in which the third mapping is not.
		ASSERT_EQ(0, rte_dev_probe(first[0].c_str()));
		EXPECT_EQ(0, iovad_domain_refresh(d));
		ASSERT_EQ(0, iovad_map(d, memory.at(), kMiB, kLimit32, IOVAD_BIDIRECTIONAL, &buffer));
		EXPECT_EQ("", reaches(buffer, memory.at(), kMiB));
		EXPECT_EQ(0, iovad_unmap(d, buffer, kMiB));
		EXPECT_EQ(0, iovad_unmap(d, late, kMiB)) << "it ended with the device";
		EXPECT_EQ(0u, stats_of(d).quarantined_bytes);
	}
	// Destroyed; a new one works.
	TestDomain d(conf());
	ASSERT_EQ(0, iovad_map(d, memory.at(), kMiB, kLimit32, IOVAD_BIDIRECTIONAL, &buffer));
	EXPECT_EQ("", reaches(buffer, memory.at(), kMiB));
	// A domain may outlive the last device, too.
	remove_all();
	EXPECT_EQ(0, iovad_unmap(d, buffer, kMiB));
}

}  // namespace
}  // namespace iovad::test
