// SPDX-License-Identifier: BSD-3-Clause
// Telemetry as its clients see it: through the socket.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "../telemetry_client.h"
#include "../test_domain.h"
#include "iovad/iovad_bounce.h"
#include "iovad/iovad_control.h"

namespace iovad::test {

namespace {

// The members of a struct of counters, as its header has them. Not by std::regex: gcc 12 warns in it.
std::vector<std::string> counters_in_header(const std::string &header, const std::string &name)
{
	const char *const headers = std::getenv("IOVAD_TEST_HEADERS");
	EXPECT_NE(nullptr, headers) << "IOVAD_TEST_HEADERS is not set";
	std::ifstream file(std::string(headers ? headers : "") + '/' + header);
	std::stringstream text;
	text << file.rdbuf();
	const std::string all = text.str(), head = "struct " + name + " {";
	const size_t begin = all.find(head) + head.size();
	std::stringstream body(all.substr(begin, all.find("};", begin) - begin));
	std::vector<std::string> out;
	bool comment = false;
	for (std::string word; body >> word;) {
		comment |= word.starts_with("/*");
		if (!comment && word != "uint64_t")
			out.push_back(word.substr(0, word.find_first_of(",;")));
		comment &= !word.ends_with("*/");
	}
	return out;
}

std::string quoted(const std::string &text) { return "\"" + text + "\""; }

}  // namespace

TEST(Telemetry, ListsTheDomainsThereAre)
{
	TelemetryClient client;
	EXPECT_EQ("[]", client.ask("/iovad/list"));
	{
		const TestDomain one(conf_of_pages(64)), two(conf_of_pages(64));
		const std::string list = client.ask("/iovad/list");
		EXPECT_NE(std::string::npos, list.find(quoted(one.name()))) << list;
		EXPECT_NE(std::string::npos, list.find(quoted(two.name()))) << list;
	}
	EXPECT_EQ("[]", client.ask("/iovad/list"));
}

TEST(Telemetry, InfoIsWhatTheDomainWasMadeWith)
{
	iovad_domain_conf conf = conf_of(0x100000, 0x1fffff, IOVAD_DOMAIN_F_DEBUG);
	conf.backend = IOVAD_BACKEND_SOFT;
	const TestDomain d(conf);
	TelemetryClient client;
	const std::string info = client.ask("/iovad/info," + std::string(d.name()));
	EXPECT_EQ(quoted(d.name()), value_of(info, "name"));
	EXPECT_EQ(0x100000u, number_of(info, "first"));
	EXPECT_EQ(0x1fffffu, number_of(info, "last"));
	EXPECT_EQ(4096u, number_of(info, "granule"));
	EXPECT_EQ("\"soft\"", value_of(info, "backend"));
	EXPECT_EQ("\"strict\"", value_of(info, "policy"));
	EXPECT_EQ("[\"debug\"]", value_of(info, "flags"));
	EXPECT_NE("", value_of(info, "isa"));
	EXPECT_EQ(std::vector<uint64_t>{static_cast<uint64_t>(getpid())}, numbers_of(info, "processes"));
	for (const char *key : {"died_processes", "died_caches", "died_addresses"})
		EXPECT_EQ("0", value_of(info, key));
	EXPECT_GT(number_of(info, "metadata_bytes"), 0u);
}

TEST(Telemetry, StatsHasEveryCounterOfTheHeader)
{
	const TestDomain d(conf_of_pages(64));
	TelemetryClient client;
	const std::string stats = client.ask("/iovad/stats," + std::string(d.name()));
	const std::vector<std::string> names = counters_in_header("iovad.h", "iovad_domain_stats");
	EXPECT_EQ(sizeof(iovad_domain_stats) / sizeof(uint64_t), names.size());
	for (const std::string &name : names)
		EXPECT_NE("", value_of(stats, name)) << name;
}

TEST(Telemetry, StatsAreThoseOfTheApi)
{
	const TestDomain d(conf_of_pages(1024));
	std::vector<rte_iova_t> iovas;
	for (int i = 0; i < 100; ++i)
		iovas.push_back(d.alloc(kPage));
	const rte_iova_t middle = d.alloc_range(kPage, kPage, 512 * kPage);
	TelemetryClient client;
	const std::string stats = client.ask("/iovad/stats," + std::string(d.name()));
	const iovad_domain_stats s = stats_of(d);
	EXPECT_EQ(s.live_ranges, number_of(stats, "live_ranges"));
	EXPECT_EQ(101u, s.live_ranges);
	EXPECT_EQ(s.cache_hits, number_of(stats, "cache_hits"));
	EXPECT_EQ(s.tree_allocs, number_of(stats, "tree_allocs"));
	EXPECT_EQ(s.largest_gap_bytes, number_of(stats, "largest_gap_bytes"));
	EXPECT_GT(number_of(stats, "hit_permille"), 0u);
	EXPECT_LT(number_of(stats, "hit_permille"), 1000u);
	EXPECT_NEAR(1000 - 1000.0 * double(s.largest_gap_bytes) / double(s.free_bytes),
		    double(number_of(stats, "fragmentation_permille")), 1);
	EXPECT_EQ(0, iovad_free_range(d, middle, kPage));
	d.free_all(iovas, kPage);
}

TEST(Telemetry, AFullDomainHasNoFractions)
{
	const TestDomain d(conf_of_pages(4, IOVAD_DOMAIN_F_NO_CACHE));
	const std::vector<rte_iova_t> all = d.alloc_until(ENOSPC, kPage);
	TelemetryClient client;
	const std::string stats = client.ask("/iovad/stats," + std::string(d.name()));
	EXPECT_EQ(0u, number_of(stats, "free_bytes"));
	EXPECT_EQ(0u, number_of(stats, "fragmentation_permille"));
	d.free_all(all, kPage);
}

TEST(Telemetry, CachesTellWhoHoldsWhat)
{
	const TestDomain d(conf_of_pages(4096));
	TelemetryClient client;
	const std::string question = "/iovad/caches," + std::string(d.name());
	const rte_iova_t one = d.alloc(kPage), two = d.alloc(4 * kPage);
	EXPECT_EQ(0, iovad_free(d, one, kPage));
	const std::string caches = client.ask(question);
	const uint64_t pid = static_cast<uint64_t>(getpid());
	// The last is the cache that other threads share.
	EXPECT_EQ(2u, number_of(caches, "lcores"));
	EXPECT_EQ((std::vector<uint64_t>{pid, 0}), numbers_of(caches, "lcore_pid"));
	EXPECT_EQ((std::vector<uint64_t>{rte_lcore_id(), LCORE_ID_ANY}), numbers_of(caches, "lcore_id"));
	const iovad_domain_stats s = stats_of(d);
	EXPECT_EQ((std::vector<uint64_t>{s.cached_ranges, 0}), numbers_of(caches, "lcore_cached"));
	EXPECT_EQ((std::vector<uint64_t>{s.cache_hits, 0}), numbers_of(caches, "lcore_hits"));
	const uint64_t ones = numbers_of(caches, "lcore_cached_1")[0], fours = numbers_of(caches, "lcore_cached_4")[0];
	EXPECT_GT(ones, 0u);
	EXPECT_EQ(s.cached_ranges, ones + fours);
	EXPECT_EQ(s.cached_bytes, (ones + 4 * fours) * kPage);
	const size_t bins = numbers_of(caches, "depot_granules").size();
	for (const char *key : {"depot_zone", "depot_full", "depot_empty", "depot_capacity", "depot_contended"})
		EXPECT_EQ(bins, numbers_of(caches, key).size()) << key;
	EXPECT_EQ(std::vector<uint64_t>{0}, numbers_of(client.ask(question + ",1"), "lcore_pid"));
	EXPECT_EQ(std::vector<uint64_t>{}, numbers_of(client.ask(question + ",2"), "lcore_pid"));
	EXPECT_EQ(0, iovad_free(d, two, 4 * kPage));
}

TEST(Telemetry, TheMapHasWhatIsLiveAndReserved)
{
	const TestDomain d(conf_of_pages(1000));
	const rte_iova_t iova = d.alloc_range(300 * kPage, kPage, kNoLimit);
	EXPECT_EQ(0, iovad_reserve(d, 100 * kPage, 50 * kPage));
	TelemetryClient client;
	const std::string question = "/iovad/map," + std::string(d.name());
	const auto near = [](std::vector<uint64_t> ppm, std::vector<double> wanted) {
		ASSERT_EQ(wanted.size(), ppm.size());
		for (size_t i = 0; i < ppm.size(); ++i)
			EXPECT_NEAR(wanted[i], double(ppm[i]), 1) << i;
	};
	const std::string whole = client.ask(question + ",1"), halves = client.ask(question + ",2");
	EXPECT_EQ(kPage, number_of(whole, "first"));
	EXPECT_EQ(1001 * kPage - 1, number_of(whole, "last"));
	near(numbers_of(whole, "live_ppm"), {300'000});
	near(numbers_of(whole, "reserved_ppm"), {50'000});
	near(numbers_of(halves, "live_ppm"), {0, 600'000});
	near(numbers_of(halves, "reserved_ppm"), {100'000, 0});
	EXPECT_EQ(64u, numbers_of(client.ask(question), "live_ppm").size());
	EXPECT_EQ(0, iovad_unreserve(d, 100 * kPage, 50 * kPage));
	EXPECT_EQ(0, iovad_free_range(d, iova, 300 * kPage));
}

TEST(Telemetry, OnePageOfAllThereIsShows)
{
	const TestDomain d(conf_of(kPage, 0));
	const rte_iova_t iova = d.alloc_range(kPage, kPage, kNoLimit);
	TelemetryClient client;
	EXPECT_EQ(std::vector<uint64_t>{1}, numbers_of(client.ask("/iovad/map," + std::string(d.name()) + ",1"), "live_ppm"));
	EXPECT_EQ(0, iovad_free_range(d, iova, kPage));
}

TEST(Telemetry, TheLongestMapFits)
{
	const TestDomain d(conf_of_pages(255));
	const rte_iova_t iova = d.alloc_range(255 * kPage, kPage, kNoLimit);
	TelemetryClient client;
	const std::string map = client.ask("/iovad/map," + std::string(d.name()) + ",256");
	EXPECT_EQ(256u, numbers_of(map, "live_ppm").size());
	EXPECT_EQ(256u, numbers_of(map, "reserved_ppm").size());
	EXPECT_EQ(0, iovad_free_range(d, iova, 255 * kPage));
}

TEST(Telemetry, ControlTellsWhoMakesPasses)
{
	TelemetryClient client;
	const std::string before = client.ask("/iovad/control");
	EXPECT_EQ("[]", value_of(before, "runners"));
	EXPECT_EQ(0u, number_of(before, "passes"));
	EXPECT_EQ("", value_of(before, "last_pass_age_us"));
	iovad_control_poll();
	const std::string polled = client.ask("/iovad/control");
	EXPECT_EQ("[\"poll\"]", value_of(polled, "runners"));
	EXPECT_EQ(1u, number_of(polled, "passes"));
	EXPECT_LT(number_of(polled, "last_pass_age_us"), 60'000'000u);
	EXPECT_GT(number_of(polled, "pass_max_ns"), 0u);
	ASSERT_EQ(0, iovad_control_thread_start());
	EXPECT_NE(std::string::npos, value_of(client.ask("/iovad/control"), "runners").find("thread"));
	EXPECT_EQ(0, iovad_control_thread_stop());
	EXPECT_EQ(std::string::npos, value_of(client.ask("/iovad/control"), "runners").find("thread"));
}

TEST(Telemetry, BounceListsPoolsAndTellsOfOne)
{
	TelemetryClient client;
	EXPECT_EQ("[]", client.ask("/iovad/bounce"));
	iovad_domain_conf domain_conf = conf_of(0, 0);
	domain_conf.backend = IOVAD_BACKEND_SOFT;
	const TestDomain d(domain_conf);
	iovad_bounce_conf conf;
	iovad_bounce_conf_init(&conf);
	conf.name = "tx";
	conf.domain = d;
	conf.max_bytes = 8 << 20;
	conf.flags = IOVAD_BOUNCE_F_TRANSIENT;
	iovad_bounce_pool *const pool = iovad_bounce_pool_create(&conf);
	ASSERT_NE(nullptr, pool);
	EXPECT_EQ("[\"tx\"]", client.ask("/iovad/bounce"));
	char data[1000] = {};
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_bounce_map(pool, data, sizeof data, 0, IOVAD_BIDIRECTIONAL, &iova));
	const std::string told = client.ask("/iovad/bounce,tx");
	for (const std::string &name : counters_in_header("iovad_bounce.h", "iovad_bounce_stats"))
		EXPECT_NE("", value_of(told, name)) << name;
	EXPECT_EQ("\"tx\"", value_of(told, "name"));
	EXPECT_EQ(quoted(d.name()), value_of(told, "domain"));
	EXPECT_EQ("[\"transient\"]", value_of(told, "flags"));
	EXPECT_EQ(8u << 20, number_of(told, "max_bytes"));
	EXPECT_EQ(2u << 20, number_of(told, "initial_bytes"));
	EXPECT_EQ(2u << 20, number_of(told, "size_bytes"));
	EXPECT_EQ(2048u, number_of(told, "used_bytes"));
	EXPECT_EQ(1u, number_of(told, "maps"));
	EXPECT_EQ(1000u, number_of(told, "copied_in_bytes"));
	EXPECT_EQ("null", client.ask("/iovad/bounce,rx"));
	EXPECT_EQ("null", client.ask("/iovad/bounce,tx,1"));
	EXPECT_EQ(0, iovad_bounce_unmap(pool, iova, sizeof data, IOVAD_BIDIRECTIONAL, 0));
	EXPECT_EQ(0, iovad_bounce_pool_destroy(pool));
	EXPECT_EQ("[]", client.ask("/iovad/bounce"));
}

TEST(Telemetry, InfoHasTheBoundsOfLazyUnmapping)
{
	iovad_domain_conf conf = conf_of_pages(64);
	conf.unmap_policy = IOVAD_UNMAP_LAZY;
	conf.lazy_max_age_us = 12345;
	conf.lazy_max_bytes = 1 << 20;
	const TestDomain d(conf);
	TelemetryClient client;
	const std::string info = client.ask("/iovad/info," + std::string(d.name()));
	EXPECT_EQ("\"lazy\"", value_of(info, "policy"));
	EXPECT_EQ(12345u, number_of(info, "lazy_max_age_us"));
	EXPECT_EQ(1u << 20, number_of(info, "lazy_max_bytes"));
}

TEST(Telemetry, BadParametersAreNull)
{
	const TestDomain d(conf_of_pages(64));
	TelemetryClient client;
	for (const char *command : {"/iovad/info", "/iovad/stats", "/iovad/caches", "/iovad/map"}) {
		EXPECT_EQ("null", client.ask(command));
		for (const std::string &parameters : {std::string("nobody"), std::string(d.name()) + ",x",
						      std::string(d.name()) + ",", std::string(d.name()) + " ",
						      std::string(900, 'x')})
			EXPECT_EQ("null", client.ask(command + ("," + parameters))) << parameters;
	}
	EXPECT_EQ("null", client.ask("/iovad/list,x"));
	EXPECT_EQ("null", client.ask("/iovad/control,x"));
	const std::string name(d.name());
	for (const char *number : {"0", "257", "-1", "64,", "64x", " 64", "18446744073709551617"})
		EXPECT_EQ("null", client.ask("/iovad/map," + name + "," + number)) << number;
	EXPECT_EQ("null", client.ask("/iovad/caches," + name + ",4294967296"));
}

TEST(Telemetry, AnswersWhileDomainsComeAndGo)
{
	std::atomic<bool> done{false};
	std::thread clients([&] {
		TelemetryClient client;
		while (!done) {
			client.ask("/iovad/list");
			client.ask("/iovad/stats,brief");
			client.ask("/iovad/info,brief");
			client.ask("/iovad/caches,brief");
			client.ask("/iovad/map,brief");
		}
	});
	iovad_domain_conf conf = conf_of_pages(64);
	conf.name = "brief";
	for (int i = 0; i < 200 && !HasFailure(); ++i) {
		iovad_domain *d = iovad_domain_create(&conf);
		EXPECT_NE(nullptr, d);
		EXPECT_EQ(0, iovad_domain_destroy(d));
	}
	done = true;
	clients.join();
}

}  // namespace iovad::test
