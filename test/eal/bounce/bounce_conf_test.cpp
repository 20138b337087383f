// SPDX-License-Identifier: BSD-3-Clause
// Bounce pools: what is no configuration, and what the log says of it.
#include "bounce_fixture.h"

namespace iovad::test {
namespace {

class BounceConf : public testing::Test {
protected:
	// No pool, this errno, these words, and the domain is as it was.
	void refused(int error, const char *words, const std::function<void(iovad_bounce_conf &)> &spoil)
	{
		iovad_bounce_conf conf = bounce_conf(d);
		conf.name = "spoilt";
		spoil(conf);
		const State before = state_of(d);
		Log log;
		rte_errno = 0;
		EXPECT_EQ(nullptr, iovad_bounce_pool_create(&conf)) << words;
		EXPECT_EQ(error, rte_errno) << words;
		EXPECT_NE(std::string::npos, log.text().find(words)) << log.text();
		EXPECT_EQ(before, state_of(d));
		EXPECT_EQ(0, iovad_verify(d, stderr));
	}

	TestDomain d{soft_domain_conf()};
};

TEST_F(BounceConf, Defaults)
{
	iovad_bounce_conf conf;
	EXPECT_EQ(-EINVAL, iovad_bounce_conf_init(nullptr));
	ASSERT_EQ(0, iovad_bounce_conf_init(&conf));
	EXPECT_EQ(sizeof conf, conf.size);
	EXPECT_EQ(SOCKET_ID_ANY, conf.socket_id);
	EXPECT_EQ(UINT64_MAX, conf.limit);
	const TestPool pool(bounce_conf(d));
	EXPECT_EQ(kChunk, pool.stats().size_bytes);
	EXPECT_EQ((uint64_t{64} << 20) - 1, pool.last() - pool.first());
	EXPECT_EQ(0u, pool.first() % kChunk);
}

TEST_F(BounceConf, SizesAreRoundedUp)
{
	const TestPool pool(bounce_conf(d, kChunk + 1, 3 * kChunk + 1));
	EXPECT_EQ(2 * kChunk, pool.stats().size_bytes);
	EXPECT_EQ(4 * kChunk - 1, pool.last() - pool.first());
	const TestPool all(bounce_conf(d, 70 * kChunk));
	EXPECT_EQ(70 * kChunk, all.stats().size_bytes);
	EXPECT_EQ(70 * kChunk - 1, all.last() - all.first());
}

TEST_F(BounceConf, Null)
{
	rte_errno = 0;
	EXPECT_EQ(nullptr, iovad_bounce_pool_create(nullptr));
	EXPECT_EQ(EINVAL, rte_errno);
}

TEST_F(BounceConf, WhatIsWrongIsSaid)
{
	refused(EINVAL, "conf.size is", [](auto &c) { c.size = 8; });
	refused(EINVAL, "needs a name", [](auto &c) { c.name = nullptr; });
	refused(EINVAL, "needs a name", [](auto &c) { c.name = ""; });
	refused(EINVAL, "longer than 23", [](auto &c) { c.name = "abcdefghijklmnopqrstuvwx"; });
	refused(EINVAL, "only letters", [](auto &c) { c.name = "a.b"; });
	refused(EINVAL, "needs a domain", [](auto &c) { c.domain = nullptr; });
	refused(EINVAL, "flags 0x2", [](auto &c) { c.flags = 2; });
	refused(EINVAL, "socket_id -2", [](auto &c) { c.socket_id = -2; });
	refused(EINVAL, "socket_id 1000", [](auto &c) { c.socket_id = 1000; });
	refused(EINVAL, "is less than initial_bytes", [](auto &c) {
		c.initial_bytes = 3 * kChunk;
		c.max_bytes = 2 * kChunk;
	});
	refused(EINVAL, "more than", [](auto &c) { c.max_bytes = UINT64_MAX; });
	refused(EINVAL, "more than", [](auto &c) { c.initial_bytes = UINT64_MAX - 5; });
}

TEST_F(BounceConf, TheLongestName)
{
	iovad_bounce_conf conf = bounce_conf(d, 0, 40 * kChunk);
	conf.name = "abcdefghijklmnopqrst_-9";
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, pool);
	EXPECT_EQ(0, iovad_bounce_pool_destroy(pool));
}

TEST_F(BounceConf, NamesAreUnique)
{
	const TestPool pool(bounce_conf(d));
	refused(EEXIST, "one of this name exists", [&](auto &c) { c.name = pool.name(); });
}

TEST_F(BounceConf, ADomainWithoutABackend)
{
	const TestDomain none(conf_of_pages(8192));
	refused(ENOTSUP, "has no backend", [&](auto &c) { c.domain = none; });
}

TEST_F(BounceConf, ADomainOfLargeGranules)
{
	iovad_domain_conf conf = soft_domain_conf();
	conf.granule = uint64_t{1} << 30;
	const TestDomain large(conf);
	refused(EINVAL, "granules of 1048576 KiB", [&](auto &c) { c.domain = large; });
	conf.granule = kChunk;
	const TestDomain just(conf);
	const TestPool pool(bounce_conf(just));
	char byte = 0;
	pool.unmap(pool.map(&byte, 1), 1);
}

TEST_F(BounceConf, AddressesThatThereAreNot)
{
	refused(ENOSPC, "of addresses in a row up to 0x1ffffff", [](auto &c) {
		c.limit = 16 * kChunk - 1;
		c.max_bytes = 16 * kChunk;
	});
	refused(ENOSPC, "of addresses in a row", [](auto &c) { c.limit = 0; });
	iovad_bounce_conf conf = bounce_conf(d, 0, 15 * kChunk);
	conf.limit = 16 * kChunk - 1;
	const TestPool pool(conf);
	EXPECT_EQ(16 * kChunk - 1, pool.last());
}

TEST_F(BounceConf, MemoryThatThereIsNot)
{
	refused(ENOMEM, "cannot have 262144 MiB", [](auto &c) { c.initial_bytes = uint64_t{256} << 30; });
}

TEST_F(BounceConf, PrepareRefuses)
{
	int calls = 0;
	refused(EACCES, "prepare() refuses it", [&](auto &c) {
		c.initial_bytes = 3 * kChunk;
		c.prepare = [](void *, uint64_t, void *n) { return ++*static_cast<int *>(n) == 3 ? -EACCES : 0; };
		c.release = [](void *, uint64_t, void *n) { *static_cast<int *>(n) += 10; };
		c.opaque = &calls;
	});
	EXPECT_EQ(23, calls) << "three came, two of them went";
}

TEST_F(BounceConf, DestroyOfNothing) { EXPECT_EQ(-EINVAL, iovad_bounce_pool_destroy(nullptr)); }

}  // namespace
}  // namespace iovad::test
