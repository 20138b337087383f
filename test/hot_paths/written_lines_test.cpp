// SPDX-License-Identifier: BSD-3-Clause
// Which cache lines a hit in an lcore's cache writes: of all that a domain has, its handle
// included, those of this lcore's cache and of the magazine loaded there.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>
#include <vector>

#include "../unit/domain_fixture.h"

namespace iovad::core {
namespace {

constexpr uint64_t kPage = OwnedDomain::kGranule;
constexpr uint64_t kNoLimit = ~uint64_t{0};
constexpr unsigned kBulk = 32;

using Lines = std::set<uintptr_t>;

// A part of memory as it was.
class Before {
public:
	Before(const void *at, size_t bytes) : at_(static_cast<const std::byte *>(at)), copy_(at_, at_ + bytes) {}
	void add_changed(Lines &lines) const
	{
		for (size_t i = 0; i < copy_.size(); ++i) {
			if (at_[i] != copy_[i])
				lines.insert(reinterpret_cast<uintptr_t>(at_ + i) / 64);
		}
	}

private:
	const std::byte *at_;
	std::vector<std::byte> copy_;
};

Lines changed_by(OwnedDomain &d, const std::function<void()> &work)
{
	const Before state(d.state, DomainState::bytes(d.state->config)), handle(&d.domain, sizeof d.domain);
	Lines lines;
	work();
	state.add_changed(lines);
	handle.add_changed(lines);
	return lines;
}

void add_lines(Lines &lines, const void *at, size_t bytes)
{
	const auto first = reinterpret_cast<uintptr_t>(at);
	for (uintptr_t line = first / 64; line <= (first + bytes - 1) / 64; ++line)
		lines.insert(line);
}

Lines own(const OwnedDomain &d, unsigned lcore)
{
	const iovad_hot_cache *cache = d.domain.hot().cache[lcore + 1];
	Lines lines;
	add_lines(lines, cache, sizeof(LcoreCache));
	for (const iovad_hot_pair &pair : cache->pair)
		add_lines(lines, pair.loaded, sizeof(Magazine));
	return lines;
}

uint64_t kept[2];  // by lcore

// What is loaded has room for as much again, to take and to put.
void warm(OwnedDomain &d, unsigned lcore, uint64_t len)
{
	uint64_t iovas[kBulk];
	ASSERT_EQ(d.domain.alloc(lcore, len, kNoLimit, kept[lcore]), Status::ok);
	ASSERT_EQ(d.domain.alloc_bulk(lcore, len, kNoLimit, iovas, kBulk), Status::ok);
	ASSERT_EQ(d.domain.free_bulk(lcore, iovas, len, kBulk), Status::ok);
}

struct Hit {
	const char *name;
	uint64_t len;
	std::function<void(Domain &, unsigned lcore, uint64_t len)> work;
};

void one(Domain &d, unsigned lcore, uint64_t len)
{
	uint64_t iova;
	ASSERT_EQ(d.alloc(lcore, len, kNoLimit, iova), Status::ok);
	ASSERT_EQ(d.free(lcore, iova, len), Status::ok);
}

void taking(Domain &d, unsigned lcore, uint64_t len)
{
	uint64_t iova;
	ASSERT_EQ(d.alloc(lcore, len, kNoLimit, iova), Status::ok);
}

// An address of the lcore's own, which the test does not see taken.
void giving(Domain &d, unsigned lcore, uint64_t len)
{
	ASSERT_EQ(d.free(lcore, kept[lcore], len), Status::ok);
}

void taking_many(Domain &d, unsigned lcore, uint64_t len)
{
	uint64_t iovas[kBulk];
	ASSERT_TRUE(d.try_alloc_bulk(lcore, len, kNoLimit, iovas, kBulk));
}

void bulk(Domain &d, unsigned lcore, uint64_t len)
{
	uint64_t iovas[kBulk];
	ASSERT_TRUE(d.try_alloc_bulk(lcore, len, kNoLimit, iovas, kBulk));
	ASSERT_TRUE(d.try_free_bulk(lcore, iovas, len, kBulk));
}

TEST(WrittenLinesTest, OfAHitAreTheLcoresOwn)
{
	for (const Hit &hit : {Hit{"one", kPage, one}, Hit{"one of four pages", 4 * kPage, one},
			       Hit{"taking", kPage, taking}, Hit{"taking four pages", 4 * kPage, taking}, Hit{"giving", kPage, giving},
			       Hit{"giving four pages", 4 * kPage, giving}, Hit{"taking many", kPage, taking_many}, Hit{"bulk", kPage, bulk}}) {
		OwnedDomain d(OwnedDomain::config((uint64_t{1} << 48) - 1));
		Lines all;
		for (const unsigned lcore : {0u, 1u}) {
			warm(d, lcore, hit.len);
			const Lines allowed = own(d, lcore);
			const Lines lines = changed_by(d, [&] { hit.work(d.domain, lcore, hit.len); });
			EXPECT_FALSE(lines.empty()) << hit.name;
			for (const uintptr_t line : lines) {
				EXPECT_TRUE(allowed.count(line)) << hit.name << ": offset "
					<< line * 64 - reinterpret_cast<uintptr_t>(d.state) << " in the state";
				EXPECT_TRUE(all.insert(line).second) << hit.name << ": two lcores write one line";
			}
		}
	}
}

// What the test above would see.
TEST(WrittenLinesTest, OfAMissAreOthersToo)
{
	OwnedDomain d(OwnedDomain::config((uint64_t{1} << 48) - 1));
	warm(d, 0, kPage);
	const Lines allowed = own(d, 0);
	uint64_t iovas[8 * kBulk];
	const Lines lines = changed_by(d, [&] { ASSERT_EQ(d.domain.alloc_bulk(0, kPage, kNoLimit, iovas, 8 * kBulk), Status::ok); });
	unsigned others = 0;
	for (const uintptr_t line : lines)
		others += !allowed.count(line);
	EXPECT_GT(others, 0u);
}

}  // namespace
}  // namespace iovad::core
