// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the C API share: domains that check themselves at their end, the
// state of a domain as one value, and being another lcore.
#pragma once

#include <atomic>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#include "iovad/iovad.h"

namespace iovad::test {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t k4GiB = uint64_t{1} << 32;
inline constexpr uint64_t kLimit32 = k4GiB - 1;
inline constexpr uint64_t kNoLimit = ~uint64_t{0};

inline iovad_domain_conf conf_of(uint64_t first, uint64_t last, uint32_t flags = 0)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.iova_first = first;
	conf.iova_last = last;
	conf.flags = flags;
	return conf;
}

// A window of so many pages from the first page on.
inline iovad_domain_conf conf_of_pages(uint64_t pages, uint32_t flags = 0)
{
	return conf_of(kPage, kPage + pages * kPage - 1, flags);
}

inline std::string unique_name()
{
	static std::atomic<unsigned> number;
	return "test-" + std::to_string(++number);
}

inline iovad_domain_stats stats_of(iovad_domain *d)
{
	iovad_domain_stats s;
	EXPECT_EQ(0, iovad_domain_stats_get(d, &s));
	return s;
}

// Who owns what. Addresses may move between the caches and the tree at any time.
struct State {
	uint64_t live_ranges, live_bytes, reserved_bytes, available_bytes;

	bool operator==(const State &) const = default;
	friend std::ostream &operator<<(std::ostream &out, const State &s)
	{
		return out << "live " << s.live_bytes << " in " << s.live_ranges << ", reserved "
			   << s.reserved_bytes << ", available " << s.available_bytes;
	}
};

inline State state_of(iovad_domain *d)
{
	const iovad_domain_stats s = stats_of(d);
	return {s.live_ranges, s.live_bytes, s.reserved_bytes, s.cached_bytes + s.free_bytes};
}

// The call fails with this errno and leaves the domain as it was.
template <class Call> void expect_refused(iovad_domain *d, int error, Call call)
{
	const State before = state_of(d);
	EXPECT_EQ(-error, call());
	EXPECT_EQ(before, state_of(d));
	EXPECT_EQ(0, iovad_verify(d, stderr));
}

// All must have been given back when it goes out of scope.
class TestDomain {
public:
	explicit TestDomain(iovad_domain_conf conf) : name_(unique_name())
	{
		conf.name = name_.c_str();
		d_ = iovad_domain_create(&conf);
		if (!d_)
			throw std::runtime_error("no domain: " + std::string(rte_strerror(rte_errno)));
	}
	~TestDomain()
	{
		EXPECT_EQ(0, iovad_verify(d_, stderr));
		EXPECT_EQ(0, iovad_domain_destroy(d_)) << state_of(d_);
	}
	TestDomain(const TestDomain &) = delete;
	TestDomain &operator=(const TestDomain &) = delete;

	operator iovad_domain *() const { return d_; }
	const char *name() const { return name_.c_str(); }

	// Success is the caller's claim.
	rte_iova_t alloc(uint64_t len, uint64_t limit = kNoLimit) const
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, iovad_alloc(d_, len, limit, &iova));
		return iova;
	}
	rte_iova_t alloc_range(uint64_t len, uint64_t align, uint64_t limit) const
	{
		rte_iova_t iova = 0;
		EXPECT_EQ(0, iovad_alloc_range(d_, len, align, limit, &iova));
		return iova;
	}
	// Until it fails, with this errno.
	std::vector<rte_iova_t> alloc_until(int error, uint64_t len, uint64_t limit = kNoLimit) const
	{
		std::vector<rte_iova_t> out;
		rte_iova_t iova;
		int rc;
		while ((rc = iovad_alloc(d_, len, limit, &iova)) == 0)
			out.push_back(iova);
		EXPECT_EQ(-error, rc);
		return out;
	}
	void free_all(const std::vector<rte_iova_t> &iovas, uint64_t len) const
	{
		for (const rte_iova_t iova : iovas)
			ASSERT_EQ(0, iovad_free(d_, iova, len)) << std::hex << iova;
	}

private:
	std::string name_;
	iovad_domain *d_;
};

// This thread calls as that lcore: what another lcore holds can be tested step by step.
class AsLcore {
public:
	explicit AsLcore(unsigned lcore) : before_(rte_lcore_id()) { RTE_PER_LCORE(_lcore_id) = lcore; }
	~AsLcore() { RTE_PER_LCORE(_lcore_id) = before_; }
	AsLcore(const AsLcore &) = delete;
	AsLcore &operator=(const AsLcore &) = delete;

private:
	unsigned before_;
};

}  // namespace iovad::test
