// SPDX-License-Identifier: BSD-3-Clause
// Pools that passes of the control lcore change, and hooks that see what memory they have.
#pragma once

#include <chrono>
#include <set>
#include <thread>

#include "bounce_fixture.h"

namespace iovad::test {

class BounceGrowth : public testing::Test {
protected:
	~BounceGrowth() override { EXPECT_TRUE(device.iommu.verify(stderr)); }

	TestDomain d{soft_domain_conf()};
	Device device{d};
};

struct Hooks {
	std::set<void *> prepared;
	unsigned refuse_after = ~0u, refused = 0;

	static int prepare(void *va, uint64_t len, void *opaque)
	{
		auto &self = *static_cast<Hooks *>(opaque);
		EXPECT_EQ(0u, len % kChunk);
		if (self.prepared.size() >= self.refuse_after) {
			++self.refused;
			return -ENXIO;
		}
		EXPECT_TRUE(self.prepared.insert(va).second);
		return 0;
	}
	static void release(void *va, uint64_t len, void *opaque)
	{
		EXPECT_EQ(0u, len % kChunk);
		EXPECT_EQ(1u, static_cast<Hooks *>(opaque)->prepared.erase(va));
	}
	iovad_bounce_conf conf(iovad_bounce_conf c)
	{
		c.prepare = prepare;
		c.release = release;
		c.opaque = this;
		return c;
	}
};

// A hook that takes more time than a pass has.
inline int slow_prepare(void *, uint64_t, void *)
{
	const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
	while (std::chrono::steady_clock::now() < end)
		std::this_thread::yield();
	return 0;
}

}  // namespace iovad::test
