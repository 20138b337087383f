// SPDX-License-Identifier: BSD-3-Clause
// /iovad/whatis: an address in each of its states.
#include <sys/mman.h>

#include "../debug/debug_fixture.h"
#include "iovad/iovad_bounce.h"
#include "iovad/iovad_control.h"
#include "iovad/iovad_soft.h"

extern "C" int whatis_takes(iovad_domain *d, uint64_t len, rte_iova_t *iova);

[[gnu::noinline]] int whatis_takes(iovad_domain *d, uint64_t len, rte_iova_t *iova)
{
	const int result = iovad_alloc(d, len, UINT64_MAX, iova);
	__asm__ volatile("" ::: "memory");
	return result;
}

namespace iovad::test {
namespace {

alignas(kPage) char memory[16 * kPage];

std::string whatis(const char *domain, uint64_t address)
{
	return TelemetryClient().ask(std::string("/iovad/whatis,") + domain + "," + hex(address));
}

std::string text_of(const std::string &answer, const std::string &key)
{
	const std::string value = value_of(answer, key);
	return value.size() < 2 ? value : value.substr(1, value.size() - 2);
}

void expect_state(const char *state, const char *domain, uint64_t address)
{
	const std::string answer = whatis(domain, address);
	EXPECT_EQ(state, text_of(answer, "state")) << answer;
	EXPECT_EQ(address, number_of(answer, "address")) << answer;
}

iovad_domain_conf plain_conf(iovad_unmap_policy policy = IOVAD_UNMAP_STRICT)
{
	iovad_domain_conf conf = debug_conf(IOVAD_BACKEND_SOFT, policy);
	conf.flags = 0;
	return conf;
}

TEST(Whatis, OutsideAndFree)
{
	const TestDomain d(plain_conf());
	std::string answer = whatis(d.name(), uint64_t{1} << 40);
	EXPECT_EQ("outside", text_of(answer, "state")) << answer;
	EXPECT_EQ("window", text_of(answer, "below"));
	EXPECT_EQ((uint64_t{1} << 40) - ((uint64_t{1} << 30) - 1), number_of(answer, "below_distance"));
	EXPECT_EQ("", value_of(answer, "first"));
	EXPECT_EQ("", value_of(answer, "history"));
	answer = whatis(d.name(), 0);
	EXPECT_EQ("window", text_of(answer, "above")) << answer;
	EXPECT_EQ(kPage, number_of(answer, "above_distance"));
	answer = whatis(d.name(), 64 * kPage);
	EXPECT_EQ("free", text_of(answer, "state")) << answer;
	EXPECT_EQ(kPage, number_of(answer, "first"));
	EXPECT_EQ((uint64_t{1} << 30) - 1, number_of(answer, "last"));
	EXPECT_EQ("", value_of(answer, "below"));
	EXPECT_EQ("", value_of(answer, "above"));
}

TEST(Whatis, BetweenTwoRanges)
{
	const TestDomain d(plain_conf());
	const rte_iova_t high = d.alloc_range(kPage, kPage, kNoLimit);
	ASSERT_EQ(0, iovad_reserve(d, 8 * kPage, 2 * kPage));
	const std::string answer = whatis(d.name(), 100 * kPage + 7);
	EXPECT_EQ("free", text_of(answer, "state")) << answer;
	EXPECT_EQ("reserved", text_of(answer, "below"));
	EXPECT_EQ(8 * kPage, number_of(answer, "below_first"));
	EXPECT_EQ(10 * kPage - 1, number_of(answer, "below_last"));
	EXPECT_EQ(90 * kPage + 8, number_of(answer, "below_distance"));
	EXPECT_EQ("live", text_of(answer, "above"));
	EXPECT_EQ(high, number_of(answer, "above_first"));
	EXPECT_EQ(high - 100 * kPage - 7, number_of(answer, "above_distance"));
	expect_state("reserved", d.name(), 9 * kPage);
	expect_state("live", d.name(), high + 1);
	EXPECT_EQ(0, iovad_unreserve(d, 8 * kPage, 2 * kPage));
	EXPECT_EQ(0, iovad_free_range(d, high, kPage));
}

TEST(Whatis, AllocatedOrInACache)
{
	const TestDomain d(plain_conf());
	const rte_iova_t iova = d.alloc(kPage);
	expect_state("live", d.name(), iova);
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
	expect_state("cached", d.name(), iova);
	expect_state("cached", d.name(), iova + 100);
	EXPECT_EQ(iova, d.alloc(kPage));
	expect_state("live", d.name(), iova);
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
}

TEST(Whatis, MappedAndRegions)
{
	const TestDomain d(plain_conf());
	rte_iova_t buffer, region;
	ASSERT_EQ(0, iovad_map(d, memory + 100, 200, kNoLimit, IOVAD_TO_DEVICE, &buffer));
	std::string answer = whatis(d.name(), buffer + 5);
	EXPECT_EQ("mapped", text_of(answer, "state")) << answer;
	EXPECT_EQ(reinterpret_cast<uint64_t>(memory + 105), number_of(answer, "va"));
	EXPECT_EQ("[\"to_device\"]", value_of(answer, "dir"));
	EXPECT_EQ(buffer - 100, number_of(answer, "first"));
	ASSERT_EQ(0, iovad_region_add(d, memory + 4 * kPage, 2 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &region));
	answer = whatis(d.name(), region + kPage);
	EXPECT_EQ("region", text_of(answer, "state")) << answer;
	EXPECT_EQ("[\"to_device\",\"from_device\"]", value_of(answer, "dir"));
	EXPECT_EQ(0, iovad_region_remove(d, memory + 4 * kPage, 2 * kPage));
	EXPECT_EQ(0, iovad_unmap(d, buffer, 200));
	EXPECT_NE("mapped", text_of(whatis(d.name(), buffer), "state"));
}

TEST(Whatis, Deferred)
{
	const TestDomain d(plain_conf(IOVAD_UNMAP_LAZY));
	iovad_control_poll();
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, memory, kPage, kNoLimit, IOVAD_TO_DEVICE, &iova));
	expect_state("mapped", d.name(), iova);
	ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	expect_state("deferred", d.name(), iova);
	ASSERT_EQ(0, iovad_flush(d));
	EXPECT_NE("deferred", text_of(whatis(d.name(), iova), "state"));
}

TEST(Whatis, Quarantined)
{
	const TestDomain d(plain_conf(IOVAD_UNMAP_LAZY));
	iovad_control_poll();
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, memory, kPage, kNoLimit, IOVAD_TO_DEVICE, &iova));
	ASSERT_EQ(0, iovad_soft_fail_every(d, 1));
	ASSERT_EQ(0, iovad_unmap(d, iova, kPage));
	EXPECT_NE(0, iovad_flush(d));
	expect_state("quarantined", d.name(), iova);
	ASSERT_EQ(0, iovad_soft_fail_every(d, 0));
	EXPECT_EQ(0, iovad_flush(d));
	EXPECT_NE("quarantined", text_of(whatis(d.name(), iova), "state"));
}

TEST(Whatis, Padding)
{
	constexpr uint64_t k2MiB = uint64_t{1} << 21;
	void *const va = mmap(nullptr, 3 * k2MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *const in = static_cast<char *>(va) + (k2MiB - reinterpret_cast<uint64_t>(va) % k2MiB) + kPage;
	const TestDomain d(plain_conf());
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_map(d, in, k2MiB, kNoLimit, IOVAD_TO_DEVICE, &iova));
	ASSERT_EQ(kPage, iova % k2MiB);
	expect_state("mapped", d.name(), iova);
	expect_state("padding", d.name(), iova - 1);
	EXPECT_EQ(0, iovad_unmap(d, iova, k2MiB));
	munmap(va, 3 * k2MiB);
}

TEST(Whatis, SlotsOfBouncePools)
{
	const TestDomain d(plain_conf());
	iovad_bounce_conf conf;
	iovad_bounce_conf_init(&conf);
	conf.name = "whatis";
	conf.domain = d;
	conf.max_bytes = uint64_t{2} << 20;
	iovad_bounce_pool *p = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, p) << rte_strerror(rte_errno);
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_bounce_map(p, memory, 3000, 0, IOVAD_FROM_DEVICE, &iova));
	std::string answer = whatis(d.name(), iova + 2999);
	EXPECT_EQ("bounce", text_of(answer, "state")) << answer;
	EXPECT_EQ("whatis", text_of(answer, "pool"));
	EXPECT_EQ("mapped", text_of(answer, "slot"));
	EXPECT_EQ(iova, number_of(answer, "first"));
	EXPECT_EQ(iova + 2999, number_of(answer, "last"));
	EXPECT_EQ(reinterpret_cast<uint64_t>(memory + 2999), number_of(answer, "va"));
	answer = whatis(d.name(), iova + 3000);
	EXPECT_EQ("free", text_of(answer, "slot")) << answer;
	EXPECT_EQ(0, iovad_bounce_unmap(p, iova, 3000, IOVAD_FROM_DEVICE, 0));
	EXPECT_EQ("free", text_of(whatis(d.name(), iova), "slot"));
	EXPECT_EQ(0, iovad_bounce_pool_destroy(p));
}

TEST(Whatis, InDebugModeWhoHadIt)
{
	const TestDomain d(debug_conf());
	rte_iova_t iova = 0, buffer = 0;
	ASSERT_EQ(0, whatis_takes(d, kPage, &iova));
	std::string answer = whatis(d.name(), iova);
	EXPECT_NE(std::string::npos, answer.find("allocated: " + hex(iova))) << answer;
	EXPECT_NE(std::string::npos, answer.find("whatis_takes+0x")) << answer;
	EXPECT_EQ(std::string::npos, answer.find("freed by")) << answer;
	EXPECT_EQ(0, iovad_free(d, iova, kPage));
	answer = whatis(d.name(), iova);
	EXPECT_NE("live", text_of(answer, "state")) << answer;
	EXPECT_NE(std::string::npos, answer.find("whatis_takes+0x")) << answer;
	EXPECT_NE(std::string::npos, answer.find("freed by")) << answer;
	// Kernels know pages only.
	ASSERT_EQ(0, iovad_map(d, memory + 100, 200, kNoLimit, IOVAD_TO_DEVICE, &buffer));
	EXPECT_EQ(0, iovad_unmap(d, buffer, 200));
	answer = whatis(d.name(), buffer - 100);
	EXPECT_NE(std::string::npos, answer.find("unmapped by")) << answer;
	EXPECT_EQ("[]", value_of(whatis(d.name(), 32 * kPage), "history"));
}

TEST(Whatis, WhatCannotBeAnswered)
{
	const TestDomain d(plain_conf());
	TelemetryClient client;
	const std::string with_domain = std::string("/iovad/whatis,") + d.name();
	for (const std::string &request : {std::string("/iovad/whatis"), with_domain, with_domain + ",", with_domain + ",0x", with_domain + ",12z",
					   with_domain + ",-1", with_domain + ",0x10000000000000000", std::string("/iovad/whatis,none,0x1000")}) {
		Log log;
		EXPECT_EQ("null", client.ask(request)) << request;
		EXPECT_NE("", log.text()) << request;
	}
	EXPECT_EQ(4096u, number_of(client.ask(with_domain + ",4096"), "address"));
}

}  // namespace
}  // namespace iovad::test
