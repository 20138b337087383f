// SPDX-License-Identifier: BSD-3-Clause
// A software IOMMU, and memory that need not be there: translating touches none.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "dma/soft/soft_iommu.h"

namespace iovad::dma {

constexpr uint64_t k4K = uint64_t{1} << 12, k2M = uint64_t{1} << 21, k1G = uint64_t{1} << 30;

inline void *at(uint64_t va) { return reinterpret_cast<void *>(va); }

inline std::unique_ptr<SoftIommu> make_soft(const SoftConfig &config = {})
{
	std::unique_ptr<SoftIommu> soft;
	const Outcome outcome = SoftIommu::create(config, soft);
	EXPECT_TRUE(outcome.ok()) << outcome.advice;
	return soft;
}

class SoftTest : public testing::Test {
protected:
	void TearDown() override { EXPECT_TRUE(soft->verify(stderr)); }

	Status map(uint64_t iova, uint64_t va, uint64_t len, uint32_t dir = kBidirectional)
	{
		return soft->map(iova, at(va), len, dir).status;
	}
	Status unmap(uint64_t iova, uint64_t len) { return soft->unmap(iova, len).status; }
	void *read(uint64_t iova, uint64_t len = 1)
	{
		return soft->translate(iova, len, Access::read).va;
	}
	FaultReason why(uint64_t iova, uint64_t len, Access access)
	{
		return soft->translate(iova, len, access).reason;
	}

	std::unique_ptr<SoftIommu> soft = make_soft();
};

}  // namespace iovad::dma
