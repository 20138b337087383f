// SPDX-License-Identifier: BSD-3-Clause
// What iovad_domain_create, _lookup and _destroy refuse, and with which errno.
#include <cstring>
#include <functional>


#include "../test_domain.h"

namespace iovad::test {
namespace {

using Change = std::function<void(iovad_domain_conf &)>;

// The change makes a good configuration bad.
void expect_not_created(int error, const Change &change)
{
	iovad_domain_conf conf = conf_of_pages(64);
	conf.name = "bad-conf";
	change(conf);
	rte_errno = 0;
	EXPECT_EQ(nullptr, iovad_domain_create(&conf));
	EXPECT_EQ(error, rte_errno);
	// Nothing is left behind: neither a domain, nor memory under its name.
	EXPECT_EQ(nullptr, iovad_domain_lookup("bad-conf"));
	conf = conf_of_pages(64);
	conf.name = "bad-conf";
	iovad_domain *d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d) << rte_strerror(rte_errno);
	EXPECT_EQ(0, iovad_domain_destroy(d));
}

iovad_domain *lookup(const char *name, int &error)
{
	rte_errno = 0;
	iovad_domain *d = iovad_domain_lookup(name);
	error = rte_errno;
	return d;
}

TEST(BadConf, InitRefusesNull) { EXPECT_EQ(-EINVAL, iovad_domain_conf_init(nullptr)); }

TEST(BadConf, InitGivesTheDocumentedDefaults)
{
	iovad_domain_conf conf;
	std::memset(&conf, 0xFF, sizeof conf);
	ASSERT_EQ(0, iovad_domain_conf_init(&conf));
	EXPECT_EQ(sizeof conf, conf.size);
	EXPECT_EQ(nullptr, conf.name);
	EXPECT_EQ(IOVAD_BACKEND_NONE, conf.backend);
	EXPECT_EQ(-1, conf.container_fd);
	EXPECT_EQ(0u, conf.granule | conf.iova_first | conf.iova_last | conf.max_ranges | conf.flags);
	TestDomain d(conf);
	EXPECT_EQ((uint64_t{1} << 48) - kPage, stats_of(d).free_bytes);
}

TEST(BadConf, CreateRefusesNull)
{
	rte_errno = 0;
	EXPECT_EQ(nullptr, iovad_domain_create(nullptr));
	EXPECT_EQ(EINVAL, rte_errno);
}

TEST(BadConf, Size)
{
	for (const size_t size : {size_t{0}, sizeof(iovad_domain_conf) - 1, sizeof(iovad_domain_conf) + 8})
		expect_not_created(EINVAL, [=](auto &c) { c.size = size; });
}

TEST(BadConf, Name)
{
	const std::string longest(IOVAD_NAME_MAX, 'x'), too_long = longest + "x";
	for (const char *name : {static_cast<const char *>(nullptr), "", "with space", "a/b", "tab\t", "\xC3\xA4"})
		expect_not_created(EINVAL, [=](auto &c) { c.name = name; });
	expect_not_created(ENAMETOOLONG, [&](auto &c) { c.name = too_long.c_str(); });
	iovad_domain_conf conf = conf_of_pages(64);
	conf.name = longest.c_str();
	iovad_domain *d = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, d);
	EXPECT_EQ(d, iovad_domain_lookup(longest.c_str()));
	EXPECT_EQ(0, iovad_domain_destroy(d));
}

TEST(BadConf, DuplicateNameLeavesTheFirstDomainAlone)
{
	TestDomain d(conf_of_pages(64));
	const rte_iova_t iova = d.alloc(kPage);
	iovad_domain_conf conf = conf_of_pages(128);
	conf.name = d.name();
	rte_errno = 0;
	EXPECT_EQ(nullptr, iovad_domain_create(&conf));
	EXPECT_EQ(EEXIST, rte_errno);
	EXPECT_EQ(static_cast<iovad_domain *>(d), iovad_domain_lookup(d.name()));
	EXPECT_EQ(1u, stats_of(d).live_ranges);
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
}

TEST(BadConf, NameIsFreeAgainAfterDestroy)
{
	for (int i = 0; i < 100; ++i) {
		iovad_domain_conf conf = conf_of_pages(64);
		conf.name = "again-and-again";
		iovad_domain *d = iovad_domain_create(&conf);
		ASSERT_NE(nullptr, d) << rte_strerror(rte_errno);
		ASSERT_EQ(0, iovad_domain_destroy(d));
	}
}

TEST(BadConf, SocketId)
{
	expect_not_created(EINVAL, [](auto &c) { c.socket_id = -2; });
	expect_not_created(ENOMEM, [](auto &c) { c.socket_id = RTE_MAX_NUMA_NODES; });
}

TEST(BadConf, Backend)
{
	// Where there is none; see mapping_test.cpp.
	expect_not_created(ENODEV, [](auto &c) { c.backend = IOVAD_BACKEND_VFIO; });
	expect_not_created(EINVAL, [](auto &c) { c.backend = static_cast<iovad_backend>(3); });
}

TEST(BadConf, Granule)
{
	for (const uint64_t granule : {uint64_t{1}, uint64_t{2048}, uint64_t{4097}, uint64_t{6144}, uint64_t{1} << 31,
				       uint64_t{1} << 63, ~uint64_t{0}})
		expect_not_created(EINVAL, [=](auto &c) {
			c.granule = granule;
			c.iova_last = kNoLimit;
		});
}

TEST(BadConf, Window)
{
	const std::pair<uint64_t, uint64_t> bad[] = {
		{2 * kPage, kPage}, {0, kPage - 1}, {0, 1}, {kPage, 2 * kPage - 2}, {kPage + 1, 3 * kPage - 2},
		{kNoLimit, kNoLimit}, {uint64_t{1} << 48, 0}};
	for (const auto &[first, last] : bad)
		expect_not_created(EINVAL, [&, first = first, last = last](auto &c) {
			c.iova_first = first;
			c.iova_last = last;
		});
}

TEST(BadConf, FlagsPolicyAndShares)
{
	expect_not_created(EINVAL, [](auto &c) { c.flags = 1u << 2; });
	expect_not_created(EINVAL, [](auto &c) { c.flags = 1u << 31 | IOVAD_DOMAIN_F_DEBUG; });
	expect_not_created(EINVAL, [](auto &c) { c.cache_percent = 51; });
	expect_not_created(EINVAL, [](auto &c) { c.cache_percent = ~0u; });
	expect_not_created(EINVAL, [](auto &c) { c.max_ranges = kNoLimit; });
	// Within bounds, but more than there is memory for.
	expect_not_created(ENOMEM, [](auto &c) { c.max_ranges = uint64_t{1} << 30; });
}

// As a C caller can do it: the value is none of the enumeration.
TEST(BadConf, BoundsOfLazyUnmapping)
{
	for (const uint64_t age : {uint64_t{1}, uint64_t{99}, uint64_t{10'000'001}, ~uint64_t{0}})
		expect_not_created(EINVAL, [=](auto &c) { c.lazy_max_age_us = age; });
	for (const uint64_t age : {100, 10'000'000}) {
		iovad_domain_conf conf = conf_of_pages(64);
		conf.lazy_max_age_us = age;
		TestDomain d(conf);
	}
	for (const uint64_t bytes : {uint64_t{1}, 2 * kPage - 1})
		expect_not_created(EINVAL, [=](auto &c) {
			c.granule = 2 * kPage;
			c.lazy_max_bytes = bytes;
		});
	iovad_domain_conf conf = conf_of_pages(64);
	conf.lazy_max_bytes = kPage;
	TestDomain d(conf);
}

TEST(BadConf, UnknownUnmapPolicy)
{
	expect_not_created(EINVAL, [](auto &c) {
		const int policy = 2;
		std::memcpy(&c.unmap_policy, &policy, sizeof policy);
	});
}

TEST(BadConf, SmallestAndLargestWindows)
{
	{
		TestDomain d(conf_of(0, 2 * kPage - 1));  // page 0 is never handed out
		EXPECT_EQ(kPage, stats_of(d).free_bytes);
		EXPECT_EQ(kPage, d.alloc(kPage));
		EXPECT_EQ(0, iovad_free(d, kPage, kPage));
	}
	{
		TestDomain d(conf_of(0, kNoLimit));
		EXPECT_EQ(kNoLimit - kPage + 1, stats_of(d).free_bytes);
		const rte_iova_t top = d.alloc_range(kPage, kPage, kNoLimit);
		EXPECT_EQ(kNoLimit - kPage + 1, top);
		EXPECT_EQ(0, iovad_free_range(d, top, kPage));
	}
	{
		TestDomain d(conf_of(kPage + 1, 4 * kPage));  // cut granules are left out
		EXPECT_EQ(2 * kPage, stats_of(d).free_bytes);
	}
	{
		iovad_domain_conf conf = conf_of(0, kNoLimit);
		conf.granule = uint64_t{1} << 30;
		TestDomain d(conf);
		const rte_iova_t top = d.alloc(conf.granule);
		EXPECT_EQ(kNoLimit - conf.granule + 1, top);
		EXPECT_EQ(0, iovad_free(d, top, conf.granule));
	}
}

TEST(BadLookup, NullUnknownEmptyAndTooLong)
{
	TestDomain d(conf_of_pages(64));
	int error;
	EXPECT_EQ(nullptr, lookup(nullptr, error));
	EXPECT_EQ(EINVAL, error);
	const std::string too_long(200, 'x'), prefix = std::string(d.name()).substr(0, 5);
	for (const char *name : {"nobody", "", too_long.c_str(), prefix.c_str()}) {
		EXPECT_EQ(nullptr, lookup(name, error)) << name;
		EXPECT_EQ(ENOENT, error) << name;
	}
	EXPECT_EQ(static_cast<iovad_domain *>(d), iovad_domain_lookup(d.name()));
}

TEST(BadDestroy, Null) { EXPECT_EQ(-EINVAL, iovad_domain_destroy(nullptr)); }

TEST(BadDestroy, WhileRangesLiveItIsBusyAndWorksAsBefore)
{
	for (const uint32_t flags : {0u, IOVAD_DOMAIN_F_NO_CACHE, IOVAD_DOMAIN_F_DEBUG}) {
		TestDomain d(conf_of_pages(64, flags));
		const rte_iova_t kept = d.alloc(kPage), gone = d.alloc(kPage);
		EXPECT_EQ(0, iovad_free(d, gone, kPage));
		expect_refused(d, EBUSY, [&] { return iovad_domain_destroy(d); });
		EXPECT_EQ(static_cast<iovad_domain *>(d), iovad_domain_lookup(d.name()));
		const rte_iova_t more = d.alloc(kPage);
		EXPECT_NE(kept, more);
		EXPECT_EQ(0, iovad_free(d, more, kPage));
		EXPECT_EQ(0, iovad_free(d, kept, kPage));
	}
}

TEST(BadDestroy, ReservedRangesDoNotKeepADomain)
{
	TestDomain d(conf_of_pages(64));
	EXPECT_EQ(0, iovad_reserve(d, 2 * kPage, 5 * kPage));
}

}  // namespace
}  // namespace iovad::test
