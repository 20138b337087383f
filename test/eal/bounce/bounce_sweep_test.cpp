// SPDX-License-Identifier: BSD-3-Clause
// A bounce pool from its beginning to its end, with growth and transient memory, where something runs
// out: what fails says so, what is mapped stays right, and nothing is left.
#include "../failing_calls.h"
#include "bounce_fixture.h"

namespace iovad::test {
namespace {

// Returns how many calls were refused.
class Life {
public:
	unsigned live()
	{
		iovad_domain_conf conf = soft_domain_conf();
		const std::string name = unique_name();
		conf.name = name.c_str();
		iovad_domain *d = counted([&] { return iovad_domain_create(&conf); });
		if (!d)
			return refused();
		live_in(d);
		EXPECT_EQ(0, iovad_verify(d, stderr));
		EXPECT_EQ(0, counted([&] { return iovad_domain_destroy(d); }));
		return refused_;
	}

private:
	static constexpr uint64_t kLen = 300'000;

	unsigned refused()
	{
		EXPECT_TRUE(is_lack(-rte_errno)) << rte_errno;
		return ++refused_;
	}
	void live_in(iovad_domain *d)
	{
		iovad_bounce_conf conf = bounce_conf(d, 2 * kChunk, 8 * kChunk, IOVAD_BOUNCE_F_TRANSIENT);
		conf.name = "swept";
		rte_errno = 0;
		iovad_bounce_pool *p = counted([&] { return iovad_bounce_pool_create(&conf); });
		if (!p) {
			refused();
			return;
		}
		Device device(d);
		use(p, device);
		EXPECT_EQ(0, iovad_bounce_verify(p, stderr));
		EXPECT_EQ(0, counted([&] { return iovad_bounce_pool_destroy(p); }));
	}
	void use(iovad_bounce_pool *p, Device &device)
	{
		struct Mapped {
			rte_iova_t iova;
			unsigned seed;
		};
		std::vector<std::vector<char>> memory;
		std::vector<Mapped> mapped;
		for (unsigned i = 0; i < 24; ++i) {
			memory.push_back(pattern(kLen, i));
			rte_iova_t iova;
			const int error = counted([&] { return iovad_bounce_map(p, memory[i].data(), kLen, 0, IOVAD_TO_DEVICE, &iova); });
			EXPECT_TRUE(error == 0 || is_lack(error)) << error;
			if (error == 0)
				mapped.push_back({iova, i});
			counted([] { return iovad_control_poll(); });
		}
		refused_ += mapped.size() < 24;
		for (const Mapped &m : mapped) {
			EXPECT_TRUE(memory[m.seed] == device.read(m.iova, kLen));
			EXPECT_EQ(0, counted([&] { return iovad_bounce_unmap(p, m.iova, kLen, IOVAD_TO_DEVICE, 0); }));
		}
	}
	unsigned refused_ = 0;
};

TEST(BounceSweep, EveryMemzone) { sweep<Life>(memzones); }
TEST(BounceSweep, EveryPieceOfMemory) { sweep<Life>(memory); }
TEST(BounceSweep, EveryAllocation) { sweep<Life>(allocations); }
TEST(BounceSweep, EveryLcoreCallback) { sweep<Life>(callbacks); }

}  // namespace
}  // namespace iovad::test
