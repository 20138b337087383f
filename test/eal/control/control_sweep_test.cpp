// SPDX-License-Identifier: BSD-3-Clause
// A lazy domain from its beginning to its end, with the control lcore, where something runs out.
#include "../failing_calls.h"
#include "../test_domain.h"
#include "iovad/iovad_control.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

class Life {
public:
	unsigned live()
	{
		iovad_domain_conf conf = conf_of_pages(512);
		const std::string name = unique_name();
		conf.name = name.c_str();
		conf.backend = IOVAD_BACKEND_SOFT;
		conf.unmap_policy = IOVAD_UNMAP_LAZY;
		conf.max_ranges = 1000;
		rte_errno = 0;
		iovad_domain *d = counted([&] { return iovad_domain_create(&conf); });
		if (!d) {
			EXPECT_TRUE(is_lack(-rte_errno)) << rte_errno;
			return 1;
		}
		const int started = counted([] { return iovad_control_thread_start(); });
		refuse(started);
		use(d);
		if (started == 0) {
			EXPECT_EQ(0, counted([] { return iovad_control_thread_stop(); }));
		}
		use(d);
		EXPECT_EQ(0, counted([&] { return iovad_flush(d); }));
		EXPECT_EQ(0, iovad_verify(d, stderr));
		EXPECT_EQ(0u, stats_of(d).live_ranges);
		EXPECT_EQ(0, counted([&] { return iovad_domain_destroy(d); }));
		return refused_;
	}

private:
	void refuse(int error)
	{
		EXPECT_TRUE(error == 0 || is_lack(error)) << error;
		refused_ += error != 0;
	}
	void use(iovad_domain *d)
	{
		alignas(4096) static char pages[64][kPage];
		rte_iova_t iova, region;
		for (unsigned i = 0; i < 200; ++i) {
			const int error = counted([&] { return iovad_map(d, pages[i % 60], kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova); });
			refuse(error);
			if (error == 0) {
				EXPECT_EQ(0, counted([&] { return i % 8 ? iovad_unmap(d, iova, kPage) : iovad_unmap_strict(d, iova, kPage); }));
			}
			if (i % 50 != 0)
				continue;
			const int added = counted([&] { return iovad_region_add(d, pages[60], 4 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &region); });
			refuse(added);
			if (added == 0) {
				EXPECT_EQ(0, counted([&] { return iovad_region_remove(d, pages[60], 4 * kPage); }));
			}
		}
	}
	unsigned refused_ = 0;
};

TEST(ControlSweep, EveryMemzone) { sweep<Life>(memzones); }
TEST(ControlSweep, EveryPieceOfMemory) { sweep<Life>(memory); }
TEST(ControlSweep, EveryLcoreCallback) { sweep<Life>(callbacks); }
TEST(ControlSweep, EveryThread) { sweep<Life>(threads); }
TEST(ControlSweep, EveryAllocation) { sweep<Life>(allocations); }

// Caches keep what they hold where there is no memory to note it.
TEST(VerifySweep, EveryAllocation)
{
	TestDomain d(conf_of_pages(4096));
	rte_iova_t iova;
	ASSERT_EQ(0, iovad_alloc(d, kPage, kNoLimit, &iova));
	ASSERT_EQ(0, iovad_free(d, iova, kPage));
	ASSERT_GT(stats_of(d).cached_ranges, 0u);
	const auto hits = [&] {
		const uint64_t before = stats_of(d).cache_hits;
		EXPECT_EQ(0, iovad_alloc(d, kPage, kNoLimit, &iova));
		EXPECT_EQ(0, iovad_free(d, iova, kPage));
		return stats_of(d).cache_hits - before;
	};
	const uint64_t as_ever = hits();
	EXPECT_GT(as_ever, 0u);
	uint64_t nth = 1;
	for (;; ++nth) {
		allocations.fail(nth, 1);
		const int error = counted([&] { return iovad_verify(d, stderr); });
		allocations.heal();
		if (error == 0)
			break;
		ASSERT_EQ(-ENOMEM, error);
		EXPECT_EQ(as_ever, hits());
	}
	EXPECT_GT(nth, 1u);
	EXPECT_EQ(as_ever, hits());
}

TEST(ControlSweep, TheServiceThatCannotBeRegisteredCanBeLater)
{
	uint32_t id = 12345, again = 0;
	services.fail(1, 1);
	EXPECT_EQ(-ENOMEM, iovad_control_service(&id));
	services.heal();
	EXPECT_EQ(0, iovad_control_service(&id));
	EXPECT_EQ(0, iovad_control_service(&again));
	EXPECT_EQ(id, again);
}

}  // namespace
}  // namespace iovad::test
