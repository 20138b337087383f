// SPDX-License-Identifier: BSD-3-Clause
// The control lcore as an application sees it, and what its report counts.
#include "iovad/iovad_control.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include <rte_service.h>

#include "../control_poll.h"
#include "../crew.h"
#include "../test_domain.h"
#include "eal/control/control.h"
#include "eal/domain/processes.h"
#include "eal/domain/registry.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

using eal::control_report;

iovad_domain_conf soft_conf(uint64_t max_age_us = 0)
{
	iovad_domain_conf conf = conf_of(0, 0);
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.lazy_max_age_us = max_age_us;
	return conf;
}

void *va(uint64_t offset) { return reinterpret_cast<void *>(0x7f0000000000 + offset); }

void wait_for_passes(uint64_t n)
{
	const uint64_t before = control_report().passes;
	while (control_report().passes < before + n)
		std::this_thread::yield();
}

bool a_thread_has_the_name(const std::string &name)
{
	for (const auto &task : std::filesystem::directory_iterator("/proc/self/task")) {
		std::string line;
		std::getline(std::ifstream(task.path() / "comm"), line);
		if (line == name)
			return true;
	}
	return false;
}

TEST(Control, APollIsAPass)
{
	TestDomain d(soft_conf());
	const eal::ControlReport before = control_report();
	EXPECT_GE(iovad_control_poll(), 0);
	const eal::ControlReport after = control_report();
	EXPECT_EQ(before.passes + 1, after.passes);
	EXPECT_EQ(before.skipped, after.skipped);
	EXPECT_TRUE(after.poll);
	EXPECT_FALSE(after.thread);
	EXPECT_FALSE(after.service);
	EXPECT_NE(UINT64_MAX, after.last_pass_age_us);
	EXPECT_GT(after.pass_max_ns, 0u);
	EXPECT_LE(after.pass_p50_ns, after.pass_p99_ns);
	EXPECT_LE(after.pass_p99_ns, after.pass_max_ns);
}

TEST(Control, APassBesideAnotherDoesNothing)
{
	const eal::ControlReport before = control_report();
	{
		const eal::DomainsInUse another;
		std::thread([] { EXPECT_EQ(0, iovad_control_poll()); }).join();
	}
	EXPECT_EQ(before.passes, control_report().passes);
	EXPECT_EQ(before.skipped + 1, control_report().skipped);
}

// Passes are counted without an atomic addition: were there two at once, some would be lost.
TEST(Control, OneWorksAtATime)
{
	constexpr unsigned kCalls = 2000;
	TestDomain d(soft_conf());
	const eal::ControlReport before = control_report();
	Crew::run([](unsigned) {
		for (unsigned i = 0; i < kCalls; ++i)
			iovad_control_poll();
	});
	const eal::ControlReport after = control_report();
	EXPECT_EQ(kCalls * Crew::kActors, after.passes - before.passes + after.skipped - before.skipped);
}

// What it was called for may be where the pass has been.
TEST(Control, AHurryDuringAPassOutlastsIt)
{
	iovad_domain_conf conf = soft_conf();
	conf.lazy_max_bytes = 2 * kPage;
	const TestDomain d(conf);
	bool hurried = false;
	static_cast<iovad_domain *>(d)->mapper->set_watch([&](unsigned, unsigned, uint64_t) {
		eal::control_hurry();
		hurried = true;
	});
	iovad_control_poll();  // so that it is deferred
	for (unsigned page = 0; page < 2; ++page) {
		rte_iova_t iova;
		ASSERT_EQ(0, iovad_map(d, va(2 * page * kPage), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
		ASSERT_EQ(0, iovad_unmap_lazy(d, iova, kPage));
	}
	EXPECT_FALSE(hurried);
	iovad_control_poll();
	EXPECT_TRUE(hurried);
	EXPECT_TRUE(eal::control_due());
}

TEST(Control, DomainsComeAndGoBesidePasses)
{
	ASSERT_EQ(0, iovad_control_thread_start());
	// One maps: ThreadSanitizer does not see that EAL's heap hands memory over in order.
	Crew::run([](unsigned actor) {
		const bool maps = actor == 0;
		for (unsigned i = 0; i < 30; ++i) {
			TestDomain d(maps ? soft_conf(100) : conf_of_pages(64));
			rte_iova_t iova;
			for (unsigned page = 0; maps && page < 20; ++page) {
				ASSERT_EQ(0, iovad_map(d, va(page * kPage), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
				ASSERT_EQ(0, iovad_unmap_lazy(d, iova, kPage));
			}
			iovad_control_poll();
		}
	});
	EXPECT_EQ(0, iovad_control_thread_stop());
}

// Ranges with gaps between them until the tree says no, or there are so many.
std::vector<rte_iova_t> fill(iovad_domain *d, size_t most, size_t poll_every)
{
	std::vector<rte_iova_t> iovas;
	rte_iova_t iova;
	while (iovas.size() < most && iovad_alloc_range(d, 2 * kPage, 4 * kPage, kNoLimit, &iova) == 0) {
		iovas.push_back(iova);
		if (poll_every != 0 && iovas.size() % poll_every == 0)
			iovad_control_poll();
	}
	return iovas;
}

void free_ranges(iovad_domain *d, const std::vector<rte_iova_t> &iovas)
{
	for (const rte_iova_t iova : iovas)
		ASSERT_EQ(0, iovad_free_range(d, iova, 2 * kPage));
}

TEST(Control, GivesTheTreeMoreNodes)
{
	constexpr size_t kMany = 40'000;
	iovad_domain_conf conf = conf_of(kPage, (uint64_t{1} << 40) - 1);
	conf.max_ranges = 64;
	const TestDomain d(conf);
	const std::vector<rte_iova_t> few = fill(d, kMany, 0);
	EXPECT_LT(few.size(), kMany / 10);
	free_ranges(d, few);
	const eal::ControlReport before = control_report();
	const std::vector<rte_iova_t> many = fill(d, kMany, 16);
	EXPECT_EQ(kMany, many.size());
	EXPECT_GT(control_report().items, before.items);
	EXPECT_GT(control_report().nodes_ns, before.nodes_ns);
	EXPECT_EQ(0, iovad_verify(d, stderr));
	free_ranges(d, many);
}

TEST(Control, TrimsTheDepot)
{
	const TestDomain d(conf_of(kPage, (uint64_t{1} << 40) - 1));
	std::vector<rte_iova_t> iovas;
	for (int i = 0; i < 20'000; ++i)
		iovas.push_back(d.alloc(kPage));
	d.free_all(iovas, kPage);
	const uint64_t before = stats_of(d).cached_ranges;
	while (stats_of(d).cached_ranges > before / 4)
		iovad_control_poll();
	EXPECT_GT(control_report().trim_ns, 0u);
	EXPECT_EQ(0, iovad_verify(d, stderr));
}

// One that died while it was attached: its place is free, and it is counted once.
TEST(Control, NoticesProcessesThatDied)
{
	const TestDomain d(conf_of_pages(64));
	iovad_domain *const handle = d;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, nullptr, 0);
	const core::ProcessId self = core::this_process(), dead = self - core::pid_of(self) + static_cast<uint32_t>(pid);
	ASSERT_TRUE(eal::add_process(*handle->shared, dead));
	EXPECT_EQ(0u, eal::other_process(*handle->shared, self));
	const auto deaths = [&] {
		const core::LockGuard guard(handle->shared->processes_lock);
		return handle->shared->deaths.processes;
	};
	EXPECT_EQ(0u, deaths());
	poll_until([&] { return deaths() != 0; });
	EXPECT_EQ(1u, deaths());
	for (const core::ProcessId process : handle->shared->processes)
		EXPECT_TRUE(process == 0 || process == self);
}

TEST(ControlThread, RunsOnce)
{
	EXPECT_EQ(-EALREADY, iovad_control_thread_stop());
	for (int i = 0; i < 20; ++i) {
		EXPECT_EQ(0, iovad_control_thread_start());
		EXPECT_TRUE(control_report().thread);
		EXPECT_EQ(-EALREADY, iovad_control_thread_start());
		EXPECT_EQ(0, iovad_control_thread_stop());
		EXPECT_FALSE(control_report().thread);
		EXPECT_EQ(-EALREADY, iovad_control_thread_stop());
	}
}

TEST(ControlThread, MakesPassesUnderItsName)
{
	EXPECT_FALSE(a_thread_has_the_name("iovad-control"));
	ASSERT_EQ(0, iovad_control_thread_start());
	wait_for_passes(3);
	EXPECT_TRUE(a_thread_has_the_name("iovad-control"));
	EXPECT_EQ(0, iovad_control_thread_stop());
	EXPECT_FALSE(a_thread_has_the_name("iovad-control"));
}

TEST(ControlThread, IsAsQuickAsTheMostImpatientDomain)
{
	iovad_control_poll();
	EXPECT_EQ(10'000u, eal::control_interval_us()) << "no domain";
	const TestDomain none(conf_of_pages(64)), patient(soft_conf(10'000'000));
	iovad_control_poll();
	EXPECT_EQ(10'000u, eal::control_interval_us());
	const TestDomain usual(soft_conf());
	iovad_control_poll();
	EXPECT_EQ(2'500u, eal::control_interval_us());
	ASSERT_EQ(0, iovad_control_thread_start());
	{
		const TestDomain impatient(soft_conf(100));
		while (eal::control_interval_us() != 50)
			std::this_thread::yield();
		wait_for_passes(10);
	}
	while (eal::control_interval_us() != 2'500)
		std::this_thread::yield();
	EXPECT_EQ(0, iovad_control_thread_stop());
}

TEST(ControlThread, StopLeavesNothingDeferred)
{
	TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_control_thread_start());
	wait_for_passes(1);
	for (unsigned page = 0; page < 1000; ++page) {
		rte_iova_t iova;
		ASSERT_EQ(0, iovad_map(d, va(page * kPage), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
		ASSERT_EQ(0, iovad_unmap_lazy(d, iova, kPage));
	}
	EXPECT_EQ(0, iovad_control_thread_stop());
	EXPECT_EQ(0u, stats_of(d).deferred_ranges);
	EXPECT_EQ(0u, stats_of(d).live_ranges);
}

TEST(ControlService, IsOneServiceHoweverOftenItIsAskedFor)
{
	EXPECT_EQ(-EINVAL, iovad_control_service(nullptr));
	uint32_t first = ~0u, second = ~0u, found = ~0u;
	ASSERT_EQ(0, iovad_control_service(&first));
	EXPECT_EQ(0, iovad_control_service(&second));
	EXPECT_EQ(first, second);
	EXPECT_EQ(0, rte_service_get_by_name("iovad_control", &found));
	EXPECT_EQ(first, found);
	EXPECT_FALSE(control_report().service) << "nobody runs it yet";
}

// A service lcore for as long as it exists.
class ServiceLcore {
public:
	ServiceLcore(uint32_t service, unsigned lcore) : service_(service), lcore_(lcore)
	{
		EXPECT_EQ(0, rte_service_lcore_add(lcore));
		EXPECT_EQ(0, rte_service_map_lcore_set(service, lcore, 1));
		EXPECT_EQ(0, rte_service_set_stats_enable(service, 1));
		EXPECT_EQ(0, rte_service_runstate_set(service, 1));
		EXPECT_EQ(0, rte_service_lcore_start(lcore));
	}
	~ServiceLcore()
	{
		EXPECT_EQ(0, rte_service_runstate_set(service_, 0));
		EXPECT_EQ(0, rte_service_lcore_stop(lcore_));
		rte_eal_wait_lcore(lcore_);
		EXPECT_EQ(0, rte_service_map_lcore_set(service_, lcore_, 0));
		EXPECT_EQ(0, rte_service_lcore_del(lcore_));
	}
	ServiceLcore(const ServiceLcore &) = delete;
	ServiceLcore &operator=(const ServiceLcore &) = delete;

private:
	const uint32_t service_;
	const unsigned lcore_;
};

TEST(ControlService, MakesPassesOnAServiceLcore)
{
	TestDomain d(soft_conf(1000));
	uint32_t id = 0;
	ASSERT_EQ(0, iovad_control_service(&id));
	{
		const ServiceLcore lcore(id, TEST_EAL_LCORES - 1);
		wait_for_passes(20);
		EXPECT_TRUE(control_report().service);
		uint64_t calls = 0;
		EXPECT_EQ(0, rte_service_attr_get(id, RTE_SERVICE_ATTR_CALL_COUNT, &calls));
		EXPECT_GT(calls, 0u);
	}
	while (control_report().service)
		std::this_thread::yield();
}

TEST(ControlService, IsSeenInTheDumpOfServices)
{
	uint32_t id = 0;
	ASSERT_EQ(0, iovad_control_service(&id));
	char *text = nullptr;
	size_t bytes = 0;
	FILE *const out = open_memstream(&text, &bytes);
	EXPECT_EQ(0, rte_service_dump(out, id));
	std::fclose(out);
	EXPECT_NE(nullptr, std::strstr(text, "iovad_control")) << text;
	std::free(text);
}

TEST(Control, AllWaysAtOnce)
{
	TestDomain d(soft_conf(100));
	uint32_t id = 0;
	ASSERT_EQ(0, iovad_control_service(&id));
	{
		const ServiceLcore lcore(id, TEST_EAL_LCORES - 1);
		ASSERT_EQ(0, iovad_control_thread_start());
		for (int i = 0; i < 1000; ++i)
			iovad_control_poll();
		wait_for_passes(100);
		while (!control_report().service)
			std::this_thread::yield();
		const eal::ControlReport report = control_report();
		EXPECT_TRUE(report.thread);
		EXPECT_TRUE(report.poll);
		EXPECT_EQ(0, iovad_control_thread_stop());
	}
	while (control_report().service)
		std::this_thread::yield();
}

TEST(Flush, HasNothingToDoWhereNothingIsDeferred)
{
	EXPECT_EQ(-EINVAL, iovad_flush(nullptr));
	const TestDomain none(conf_of_pages(64)), soft(soft_conf());
	EXPECT_EQ(0, iovad_flush(none));
	EXPECT_EQ(0, iovad_flush(soft));
}

TEST(Flush, LeavesNothingDeferred)
{
	const TestDomain d(soft_conf());
	ASSERT_EQ(0, iovad_control_thread_start());
	for (unsigned round = 0; round < 50; ++round) {
		for (unsigned page = 0; page < 50; ++page) {
			rte_iova_t iova;
			ASSERT_EQ(0, iovad_map(d, va(page * kPage), kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova));
			ASSERT_EQ(0, iovad_unmap_lazy(d, iova, kPage));
		}
		ASSERT_EQ(0, iovad_flush(d));
		ASSERT_EQ(0u, stats_of(d).deferred_ranges);
	}
	EXPECT_EQ(0, iovad_control_thread_stop());
}

}  // namespace
}  // namespace iovad::test
