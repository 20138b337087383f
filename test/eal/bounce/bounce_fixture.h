// SPDX-License-Identifier: BSD-3-Clause
// A bounce pool in a domain with the software IOMMU, and a device that reads and writes there, and
// nowhere else.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "../captured_log.h"
#include "../control_poll.h"
#include "../test_domain.h"
#include "dma/soft/soft_iommu.h"
#include "eal/bounce/pool.h"
#include "iovad/iovad_bounce.h"

namespace iovad::test {

inline constexpr uint64_t kChunk = uint64_t{1} << 21;

inline iovad_domain_conf soft_domain_conf()
{
	iovad_domain_conf conf = conf_of(0, 0);
	conf.backend = IOVAD_BACKEND_SOFT;
	return conf;
}

inline iovad_bounce_conf bounce_conf(iovad_domain *d, uint64_t initial = 0, uint64_t max = 0, uint32_t flags = 0)
{
	iovad_bounce_conf conf;
	EXPECT_EQ(0, iovad_bounce_conf_init(&conf));
	conf.domain = d;
	conf.initial_bytes = initial;
	conf.max_bytes = max;
	conf.flags = flags;
	return conf;
}

// Nothing is mapped when it goes out of scope.
class TestPool {
public:
	explicit TestPool(iovad_bounce_conf conf) : name_(unique_name())
	{
		conf.name = name_.c_str();
		p_ = iovad_bounce_pool_create(&conf);
		if (!p_)
			throw std::runtime_error("no pool: " + std::string(rte_strerror(rte_errno)));
	}
	~TestPool()
	{
		EXPECT_EQ(0, iovad_bounce_verify(p_, stderr));
		EXPECT_EQ(0, iovad_bounce_pool_destroy(p_));
	}
	TestPool(const TestPool &) = delete;
	TestPool &operator=(const TestPool &) = delete;

	operator iovad_bounce_pool *() const { return p_; }
	const char *name() const { return name_.c_str(); }
	iovad_bounce_stats stats() const
	{
		iovad_bounce_stats s;
		EXPECT_EQ(0, iovad_bounce_stats_get(p_, &s));
		return s;
	}
	uint64_t first() const { return p_->state.config.base; }
	uint64_t last() const { return first() + p_->state.config.bytes - 1; }

	// Success is the caller's claim.
	rte_iova_t map(void *va, uint64_t len, uint32_t dir = IOVAD_BIDIRECTIONAL, uint64_t mask = 0) const
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, iovad_bounce_map(p_, va, len, mask, dir, &iova)) << len;
		return iova;
	}
	void unmap(rte_iova_t iova, uint64_t len, uint32_t dir = IOVAD_BIDIRECTIONAL, uint32_t flags = 0) const
	{
		EXPECT_EQ(0, iovad_bounce_unmap(p_, iova, len, dir, flags)) << len;
	}

private:
	std::string name_;
	iovad_bounce_pool *p_;
};

// Maps until it is refused, with this errno.
class Held {
public:
	Held(const TestPool &pool, uint64_t len, int error, unsigned most = ~0u) : pool_(pool), memory_(len)
	{
		rte_iova_t iova;
		int rc = 0;
		while (iovas_.size() < most && (rc = iovad_bounce_map(pool, memory_.data(), len, 0, kDir, &iova)) == 0)
			iovas_.push_back(iova);
		EXPECT_EQ(-error, rc);
	}
	~Held() { release(0); }
	Held(const Held &) = delete;
	Held &operator=(const Held &) = delete;

	size_t count() const { return iovas_.size(); }
	void release(size_t keep)
	{
		for (; iovas_.size() > keep; iovas_.pop_back())
			pool_.unmap(iovas_.back(), memory_.size(), kDir);
	}

private:
	static constexpr uint32_t kDir = IOVAD_TO_DEVICE;

	const TestPool &pool_;
	std::vector<char> memory_;
	std::vector<rte_iova_t> iovas_;
};

class Device {
public:
	explicit Device(iovad_domain *d) : iommu(dynamic_cast<dma::SoftIommu &>(d->mapper->backend())) {}

	bool faults(rte_iova_t iova) { return !iommu.translate(iova, 1, dma::Access::read) && !iommu.translate(iova, 1, dma::Access::write); }
	std::vector<char> read(rte_iova_t iova, uint64_t len)
	{
		std::vector<char> out(len);
		each_piece(iova, len, dma::Access::read, [&](char *piece, uint64_t at, uint64_t n) { std::memcpy(&out[at], piece, n); });
		return out;
	}
	void write(rte_iova_t iova, const std::vector<char> &data)
	{
		each_piece(iova, data.size(), dma::Access::write, [&](char *piece, uint64_t at, uint64_t n) { std::memcpy(piece, &data[at], n); });
	}

	dma::SoftIommu &iommu;

private:
	template <class Use> void each_piece(rte_iova_t iova, uint64_t len, dma::Access access, Use use)
	{
		for (uint64_t at = 0; at < len;) {
			const dma::Piece piece = iommu.translate_some(iova + at, len - at, access);
			ASSERT_NE(nullptr, piece.va) << "the device faults";
			use(static_cast<char *>(piece.va), at, piece.len);
			at += piece.len;
		}
	}
};

// Bytes that tell where they are, and of what.
inline std::vector<char> pattern(uint64_t len, unsigned seed)
{
	std::vector<char> out(len);
	for (uint64_t i = 0; i < len; ++i)
		out[i] = static_cast<char>(i * 31 + seed * 7 + (i >> 8) * 3 + 1);
	return out;
}

}  // namespace iovad::test
