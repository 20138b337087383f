// SPDX-License-Identifier: BSD-3-Clause
// A bit of everything with lazy unmapping, in which the nth of something fails, for every n, or
// the nth and what follows: after each step no address is two's and what is mapped is reached;
// after the fault all of it is recovered, and the whole works again.
#include <cstdlib>
#include <new>

#include "lazy_fixture.h"

namespace {

// What operator new does in this program, and on this thread: count, and fail the nth and those
// that follow it.
struct Allocations {
	bool armed = false;
	uint64_t count = 0, first = 0, end = 0;

	bool fail() { return armed && ++count >= first && count < end; }
};
thread_local Allocations allocations;

void *allocate(std::size_t n)
{
	void *memory = allocations.fail() ? nullptr : std::malloc(n);
	if (!memory)
		throw std::bad_alloc();
	return memory;
}

}  // namespace

[[gnu::noinline]] void *operator new(std::size_t n) { return allocate(n); }
[[gnu::noinline]] void *operator new[](std::size_t n) { return allocate(n); }
[[gnu::noinline]] void operator delete(void *memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void *memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void *memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void *memory, std::size_t) noexcept { std::free(memory); }

namespace iovad::dma {
namespace {

using Counters = core::MappingTable::Counters;

class Script {
public:
	explicit Script(Policy policy, bool cached = false) : rig(config(policy, cached)) {}

	void steps()
	{
		map(kMemory + 5, 100);
		map(kMemory + k2M, 3 * k4K);
		for (uint64_t i = 1; i <= 8; ++i)
			map(kMemory + i * 600 * k1G, k4K);
		unmap_lazy(0);
		unmap_lazy(3);
		map(kMemory, 2 * k4K);
		add_region(kMemory + k1G, 4 * k4K);
		map(kMemory + k1G + k4K, k4K);
		unmap_lazy(1);
		pass();
		unmap(0);
		remove_region(kMemory + k1G);
		unmap_lazy(2);
		// All of the domain, over and over.
		for (uint64_t i = 0; i < 3 * kPages / 2; ++i) {
			map(kMemory + (i % 20 + 40) * k2M, (1 + i % 3) * k4K);
			if (i % 4 != 0)
				unmap_lazy(0);
		}
		release_lcore();
		map(kMemory + 7, 4 * k4K);
		unmap_lazy(0);
		drain();
		unmap_lazy(0);
		unmap(1);
		pass();
		remove_region(kMemory + k1G);
	}
	// The fault is gone.
	void recover()
	{
		rig.faulty.heal();
		rig.starve(0);
		rig.no_tables = false;
		rig.mapper.serve(kForEver);
		while (!claims_.empty())
			unmap_lazy(0);
		for (const auto &[va, region] : std::map(regions_))
			remove_region(va);
		EXPECT_TRUE(regions_.empty());
		rig.expect_nothing_left();
		const unsigned before = failures;
		steps();
		EXPECT_EQ(before, failures) << "it works again";
		while (!claims_.empty())
			unmap_lazy(0);
		rig.expect_nothing_left();
		EXPECT_EQ(0u, rig.queues.counters.bad_unmaps);
	}
	unsigned failures = 0;
	std::function<void()> before_put = [] {};
	LazyRig rig;

private:
	static constexpr uint64_t kPages = 24;
	struct Claim {
		uint64_t va, len;
	};

	static RigConfig config(Policy policy, bool cached)
	{
		RigConfig out = small(kPages, {.cached = cached, .most_deferred = 12});
		out.policy = policy;
		return out;
	}

	// Allocations fail inside of it only.
	template <class Work> Status guarded(Work work)
	try {
		struct Armed {
			Armed() { allocations.armed = true; }
			~Armed() { allocations.armed = false; }
		} armed;
		return work();
	} catch (const std::bad_alloc &) {
		return Status::no_memory;
	}
	void map(uint64_t va, uint64_t len)
	{
		uint64_t iova = 0;
		const uint32_t records = rig.table.live();
		const uint64_t deferred = rig.deferred();
		const Status status = guarded([&] { return rig.map(va, len, iova); });
		if (status == Status::ok) {
			for (const auto &[at, c] : claims_)
				ASSERT_TRUE(at + c.len <= iova || iova + len <= at || (at & ~(k4K - 1)) == (iova & ~(k4K - 1)));
			claims_.emplace(iova, Claim{va, len});
		} else if (status != Status::no_space) {
			++failures;
			// Others may have gone for it.
			ASSERT_LE(rig.table.live(), records);
			ASSERT_TRUE(deferred != 0 || rig.counted(&Counters::quarantined_ranges) != 0 || rig.table.live() == records);
		}
		check();
	}
	void unmap_lazy(unsigned n) { unmap(n, true); }
	void unmap(unsigned n, bool lazily = false)
	{
		if (claims_.empty())
			return;
		const auto claim = std::next(claims_.begin(), n % static_cast<long>(claims_.size()));
		const uint64_t iova = claim->first;
		const auto c = claim->second;
		claims_.erase(claim);
		before_put();
		const Status status =
			guarded([&] { return lazily ? rig.unmap_lazy(iova, c.len, 1) : rig.unmap(iova, c.len); });
		ASSERT_TRUE(status == Status::ok || status == Status::failed) << static_cast<int>(status);
		failures += status == Status::failed;
		check();
	}
	void add_region(uint64_t va, uint64_t len)
	{
		uint64_t iova = 0;
		const Status status = guarded([&] { return rig.add_region(va, len, iova); });
		failures += status != Status::ok && status != Status::no_space;
		if (status == Status::ok)
			regions_.emplace(va, std::pair(iova, len));
		check();
	}
	void remove_region(uint64_t va)
	{
		const auto region = regions_.find(va);
		if (region == regions_.end())
			return;
		const Status status = guarded([&] { return rig.remove_region(va, region->second.second); });
		ASSERT_TRUE(status == Status::ok || status == Status::failed || status == Status::busy);
		failures += status == Status::failed;
		if (status != Status::busy)
			regions_.erase(region);
		check();
	}
	void pass()
	{
		guarded([&] { return rig.pass(), Status::ok; });
		check();
	}
	void release_lcore()
	{
		guarded([&] { return rig.mapper.release_lcore(1), Status::ok; });
		check();
	}
	void drain()
	{
		failures += guarded([&] { return rig.mapper.drain(kControl).status; }) != Status::ok;
		check();
	}
	void check()
	{
		ASSERT_TRUE(rig.verify());
		ASSERT_LE(rig.queues.deferred().granules, 12u);
		for (const auto &[iova, c] : claims_) {
			ASSERT_TRUE(rig.reaches(iova, c.va, c.len, 3));
			ASSERT_EQ(c.va, rig.iova2va(iova, c.len));
			ASSERT_TRUE(rig.table.starved() || rig.va2iova(c.va) != 0);
		}
		for (const auto &[va, region] : regions_)
			ASSERT_TRUE(rig.reaches(region.first, va, region.second, 3));
	}

	std::multimap<uint64_t, Claim> claims_;
	std::map<uint64_t, std::pair<uint64_t, uint64_t>> regions_;
};

// fault(script, n, times): the nth of something, and what follows. of_all: how many of it there
// are when nothing fails.
void sweep(const std::function<void(Script &, uint64_t n, uint64_t times)> &fault,
	   const std::function<uint64_t(Script &)> &of_all)
{
	for (const Policy policy : {Policy::lazy, Policy::strict, Policy::checked}) {
		Script dry(policy, policy != Policy::strict);
		const uint64_t before = of_all(dry);
		dry.steps();
		const uint64_t all = of_all(dry) - before;
		EXPECT_EQ(0u, dry.failures);
		EXPECT_GT(all, 0u) << "nothing to break";
		dry.recover();
		for (uint64_t n = 1; n <= all; ++n) {
			for (const uint64_t times : {1, 3, 1000}) {
				if (times == 3 && policy != Policy::lazy)
					continue;
				SCOPED_TRACE(testing::Message() << "policy " << static_cast<int>(policy) << ", n = " << n << ", " << times << " times");
				Script script(policy, policy != Policy::strict);
				fault(script, n, times);
				script.steps();
				allocations = {};
				script.before_put = [] {};
				script.recover();
				if (testing::Test::HasFailure())
					return;
			}
		}
	}
}

void sweep_call(Call call)
{
	sweep([=](Script &s, uint64_t n, uint64_t times) { s.rig.faulty.fail(call, n, kBroken, times); },
	      [=](Script &s) { return s.rig.faulty.calls(call); });
}

TEST(LazySweep, EveryMap) { sweep_call(Call::map); }
TEST(LazySweep, EveryUnmap) { sweep_call(Call::unmap); }
TEST(LazySweep, EveryCallOfTheBackend) { sweep_call(Call::any); }

TEST(LazySweep, EveryMapForLackOfMemory)
{
	sweep([](Script &s, uint64_t n, uint64_t times) {
		s.rig.faulty.fail(Call::map, n, {Status::no_memory, ENOMEM, "none"}, times);
		s.rig.faulty.fail(Call::unmap, n / 2 + 1, kBroken, times);
	}, [](Script &s) { return s.rig.faulty.calls(Call::map); });
}

TEST(LazySweep, EveryRequestForTables)
{
	sweep([](Script &s, uint64_t n, uint64_t times) {
		s.rig.starve(n);
		s.rig.no_tables = times > 3;
	}, [](Script &s) { return s.rig.table_requests; });
}

TEST(LazySweep, EveryAllocation)
{
	sweep([](Script &, uint64_t n, uint64_t times) { allocations = {false, 0, n, n + times}; },
	      [](Script &) { return allocations.count; });
}

// The queue is closed, or nobody serves, when the nth is put.
TEST(LazySweep, EveryPut)
{
	for (const bool served : {true, false}) {
		uint64_t puts = 0;
		sweep([&](Script &s, uint64_t n, uint64_t times) {
			s.before_put = [&s, served, n, times, i = uint64_t{0}]() mutable {
				const bool hit = ++i >= n && i < n + times;
				if (hit)
					s.rig.queues.for_each([](core::RetireQueue &q) { q.close(); });
				s.rig.mapper.serve(served || !hit ? kForEver : 0);
			};
		}, [&](Script &s) {
			s.before_put = [&] { ++puts; };
			return puts;
		});
	}
}

TEST(LazySweep, EveryAllocationOfTheConstructor)
{
	for (uint64_t n = 1;; ++n) {
		ASSERT_LT(n, 100u);
		Rig rig;
		auto soft = make_soft();
		std::unique_ptr<Backend> backend = std::move(soft);
		auto memory = std::unique_ptr<void, core::FreeDeleter>(std::aligned_alloc(64, core::RetireQueues::bytes(1)));
		auto *queues = core::RetireQueues::format(memory.get(), 1, 100);
		bool failed = false;
		allocations = {true, 0, n, n + 1};
		try {
			Mapper mapper(rig.domain, rig.table, *queues, Policy::strict, std::move(backend), {});
		} catch (const std::bad_alloc &) {
			failed = true;
		}
		allocations = {};
		if (!failed)
			break;
	}
}

}  // namespace
}  // namespace iovad::dma
