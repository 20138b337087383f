// SPDX-License-Identifier: BSD-3-Clause
// Processes that die in the midst of a call, after any of its instructions: others take over the locks, and what
// was half done is undone, completed or collected. The process that "dies" is stepped through its call by this
// one, which, after every few instructions, goes on as if the other were dead; then all is put back, and the
// other makes its next step.
#include <algorithm>
#include <csignal>
#include <cstring>
#include <functional>
#include <vector>

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "core/domain.h"

namespace iovad::core {
namespace {

constexpr uint64_t kGranule = 4096, kNoLimit = ~uint64_t{0};

ProcessId dead_process()
{
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, nullptr, 0);
	return this_process() - pid_of(this_process()) + static_cast<uint32_t>(pid);
}

// A domain in memory that processes share.
class Shared {
public:
	explicit Shared(const DomainConfig &config)
		: bytes_(DomainState::bytes(config)),
		  memory_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)),
		  state(DomainState::format(memory_, config))
	{
	}
	~Shared() { munmap(memory_, bytes_); }
	Shared(const Shared &) = delete;
	Shared &operator=(const Shared &) = delete;

	std::vector<char> copy() const { return {static_cast<char *>(memory_), static_cast<char *>(memory_) + bytes_}; }
	void restore(const std::vector<char> &was) { std::memcpy(memory_, was.data(), bytes_); }

private:
	const size_t bytes_;
	void *const memory_;

public:
	DomainState *const state;
};

DomainConfig config_of(bool cached)
{
	return {Geometry::of(kGranule, kGranule, (uint64_t{1} << 33) - 1), 400, 4, 32, 12, cached && asymmetric_fence::enable()};
}

using Call = std::function<void(Domain &)>;

class KilledProcess : public testing::Test {
protected:
	// prepare, by who dies; then call, which is interrupted after every `stride` instructions. after: what must hold then.
	void interrupt(bool cached, unsigned stride, const Call &prepare, const Call &call, const Call &after)
	{
		Shared memory(config_of(cached));
		Domain mine(memory.state, this_process());
		mine.share();
		const ProcessId dead = dead_process();
		const pid_t child = fork();
		if (child == 0) {
			// Its own id would do for this one, which is alive.
			Domain *const its = new Domain(memory.state, dead);
			SpinLock::introduce(dead);
			prepare(*its);
			ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
			raise(SIGSTOP);
			call(*its);
			_exit(0);
		}
		int status;
		waitpid(child, &status, 0);
		unsigned points = 0;
		for (; WIFSTOPPED(status); ++points) {
			const std::vector<char> was = memory.copy();
			in_flight_ += any_in_flight(*memory.state);
			mine.bury_dead();
			EXPECT_FALSE(any_in_flight(*memory.state)) << "after " << points * stride << " instructions";
			EXPECT_TRUE(mine.verify(stderr)) << "after " << points * stride << " instructions";
			after(mine);
			EXPECT_TRUE(mine.verify(stderr)) << "after " << points * stride << " instructions, and more";
			if (HasFailure())
				break;
			memory.restore(was);
			for (unsigned i = 0; i < stride && WIFSTOPPED(status); ++i) {
				ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr);
				waitpid(child, &status, 0);
			}
		}
		kill(child, SIGKILL);
		waitpid(child, nullptr, 0);
		EXPECT_GT(points, 20u);
	}

	// Points at which the dead process had addresses in its hands.
	unsigned in_flight_ = 0;

private:
	static bool any_in_flight(const DomainState &state)
	{
		return state.shared.flying() ||
		       std::any_of(state.caches, state.caches + state.config.caches, [](const LcoreCache &c) { return c.flying(); });
	}
};

uint64_t live(Domain &d) { return d.stats().live_ranges; }

// Every second one of them is a range, so that gaps and ranges take turns.
void fill(Domain &d, unsigned n)
{
	std::vector<uint64_t> all(n);
	for (uint64_t &iova : all)
		EXPECT_EQ(Status::ok, d.alloc_range(kGranule, kGranule, kNoLimit, iova));
	for (unsigned i = 1; i < n; i += 2)
		EXPECT_EQ(Status::ok, d.free_range(all[i], kGranule));
}

void go_on(Domain &d)
{
	uint64_t a, b;
	EXPECT_EQ(Status::ok, d.alloc_range(3 * kGranule, kGranule, kNoLimit, a));
	EXPECT_EQ(Status::ok, d.alloc(kNoLcore, kGranule, kNoLimit, b));
	EXPECT_EQ(Status::ok, d.free(kNoLcore, b, kGranule));
	EXPECT_EQ(Status::ok, d.free_range(a, 3 * kGranule));
}

TEST_F(KilledProcess, InATakingThatSplitsNodesHasTakenTheRangeOrNot)
{
	// A full leaf, below a root.
	interrupt(false, 3, [](Domain &d) { fill(d, 125); }, [](Domain &d) {
		uint64_t iova;
		d.alloc_range(3 * kGranule, kGranule, kNoLimit, iova);
		d.alloc_range(kGranule, 64 * kGranule, kNoLimit, iova);
	}, [](Domain &d) {
		EXPECT_GE(live(d), 63u);
		EXPECT_LE(live(d), 65u);
		go_on(d);
	});
}

TEST_F(KilledProcess, InAGivingBackThatMergesNodesHasGivenTheRangeBackOrNot)
{
	std::vector<uint64_t> all(300);
	interrupt(false, 5, [&](Domain &d) {
		for (uint64_t &iova : all)
			EXPECT_EQ(Status::ok, d.alloc_range(kGranule, 2 * kGranule, kNoLimit, iova));
		for (unsigned i = 40; i < all.size(); ++i)
			EXPECT_EQ(Status::ok, d.free_range(all[i], kGranule));
	}, [&](Domain &d) {
		for (unsigned i = 39; i > 30; --i)
			d.free_range(all[i], kGranule);
	}, [](Domain &d) {
		EXPECT_GE(live(d), 31u);
		EXPECT_LE(live(d), 40u);
		go_on(d);
	});
}

constexpr uint64_t kYard = uint64_t{1} << 32;

// [0, 8) and [12, 20) of what others reserved stay, whatever becomes of what joins them.
TEST_F(KilledProcess, InAReservingLeavesWhatWasReservedAsItWas)
{
	interrupt(false, 3, [](Domain &d) {
		fill(d, 60);
		EXPECT_EQ(Status::ok, d.reserve(kYard, 8 * kGranule));
		EXPECT_EQ(Status::ok, d.reserve(kYard + 12 * kGranule, 8 * kGranule));
	}, [](Domain &d) {
		d.reserve(kYard + 6 * kGranule, 8 * kGranule);
	}, [](Domain &d) {
		const uint64_t reserved = d.stats().reserved_granules;
		EXPECT_TRUE(reserved == 16 || reserved == 20) << reserved;
		EXPECT_EQ(kReserved, d.find(kYard).value);
		EXPECT_EQ(kReserved, d.find(kYard + 19 * kGranule).value);
		go_on(d);
	});
}

TEST_F(KilledProcess, InAnUnreservingTakesAPartOrNothing)
{
	interrupt(false, 3, [](Domain &d) {
		fill(d, 60);
		EXPECT_EQ(Status::ok, d.reserve(kYard, 20 * kGranule));
	}, [](Domain &d) {
		d.unreserve(kYard + 8 * kGranule, 4 * kGranule);
	}, [](Domain &d) {
		const uint64_t reserved = d.stats().reserved_granules;
		EXPECT_TRUE(reserved == 16 || reserved == 20) << reserved;
		EXPECT_EQ(kReserved, d.find(kYard).value);
		EXPECT_EQ(kReserved, d.find(kYard + 19 * kGranule).value);
		go_on(d);
	});
}

// Where nodes are missing parts are kept for later. What is noted of them lies in what is reserved.
TEST_F(KilledProcess, InADeferredUnreservingTakesAPartOrNothing)
{
	interrupt(false, 11, [](Domain &d) {
		EXPECT_EQ(Status::ok, d.reserve(kYard, 40 * kGranule));
		uint64_t iova;
		while (d.alloc_range(kGranule, 2 * kGranule, kNoLimit, iova) == Status::ok)
			;
		EXPECT_EQ(Status::ok, d.unreserve(kYard + 4 * kGranule, 4 * kGranule));
		EXPECT_EQ(1u, d.stats().deferred_frees);
	}, [](Domain &d) {
		d.unreserve(kYard + 20 * kGranule, 4 * kGranule);
		d.reserve(kYard + 5 * kGranule, 2 * kGranule);
		d.unreserve(kYard, 4 * kGranule);
		d.unreserve(kYard + 24 * kGranule, 16 * kGranule);
	}, [](Domain &d) {
		const uint64_t reserved = d.stats().reserved_granules;
		EXPECT_TRUE(reserved == 36 || reserved == 32 || reserved == 34 || reserved == 30 || reserved == 14) << reserved;
		EXPECT_EQ(kReserved, d.find(kYard + 8 * kGranule).value);
		EXPECT_EQ(kReserved, d.find(kYard + 11 * kGranule).value);
	});
}

// Magazines come from the pool, are exchanged, and overflow into the tree.
TEST_F(KilledProcess, InItsCacheLosesAtMostARun)
{
	constexpr unsigned kLcore = 1, kMany = 400;
	static std::vector<uint64_t> iovas(kMany);
	if (!config_of(true).cached)
		GTEST_SKIP() << "no membarrier(2), no caches";
	interrupt(true, 257, [](Domain &d) {
		EXPECT_EQ(Status::ok, d.alloc_bulk(kLcore, kGranule, kNoLimit, iovas.data(), kMany));
	}, [](Domain &d) {
		d.free_bulk(kLcore, iovas.data(), kGranule, kMany);
		for (uint64_t &iova : iovas)
			d.alloc(kLcore, kGranule, kNoLimit, iova);
	}, [](Domain &d) {
		const DomainStats s = d.stats();
		EXPECT_EQ(0u, s.cached_ranges) << "all that it had is back in the tree";
		EXPECT_LE(s.live_ranges, kMany + 0u);
		go_on(d);
	});
	EXPECT_GT(in_flight_, 0u);
}

// A thread without an lcore holds the lock of the cache that all of them share.
TEST_F(KilledProcess, InTheSharedCacheLosesAtMostARun)
{
	constexpr unsigned kMany = 40;
	static std::vector<uint64_t> iovas(kMany);
	if (!config_of(true).cached)
		GTEST_SKIP() << "no membarrier(2), no caches";
	interrupt(true, 101, [](Domain &d) {
		EXPECT_EQ(Status::ok, d.alloc_bulk(kNoLcore, kGranule, kNoLimit, iovas.data(), kMany));
	}, [](Domain &d) {
		d.free_bulk(kNoLcore, iovas.data(), kGranule, kMany);
		d.alloc_bulk(kNoLcore, kGranule, kNoLimit, iovas.data(), kMany);
	}, [](Domain &d) {
		go_on(d);
		d.bury_dead();
		EXPECT_LE(d.stats().live_ranges, kMany + 0u);
	});
}

// A reclaimer has everybody's magazines in its hands.
TEST_F(KilledProcess, InAReclaimLosesAtMostARun)
{
	constexpr unsigned kLcore = 1, kMany = 100;
	if (!config_of(true).cached)
		GTEST_SKIP() << "no membarrier(2), no caches";
	interrupt(true, 1009, [](Domain &d) {
		std::vector<uint64_t> iovas(kMany);
		EXPECT_EQ(Status::ok, d.alloc_bulk(kLcore, kGranule, kNoLimit, iovas.data(), kMany));
		EXPECT_EQ(Status::ok, d.free_bulk(kLcore, iovas.data(), kGranule, kMany));
	}, [](Domain &d) {
		d.reclaim();
	}, [](Domain &d) {
		go_on(d);
		d.bury_dead();
		const DomainStats s = d.stats();
		EXPECT_LE(s.live_ranges, AddressSpace::kFreeRun + 0u);
		EXPECT_LE(s.cached_ranges, 2u * 31) << "what the shared cache has taken ahead";
	});
}

// Who reclaims need have no cache. Those of others are kept from them until somebody takes over.
TEST_F(KilledProcess, InAReclaimWithoutACacheGivesTheOthersTheirs)
{
	constexpr unsigned kLcore = 1;
	if (!config_of(true).cached)
		GTEST_SKIP() << "no membarrier(2), no caches";
	interrupt(true, 211, [](Domain &d) { fill(d, 60); }, [](Domain &d) {
		d.reclaim();
	}, [](Domain &d) {
		uint64_t iova;
		EXPECT_EQ(Status::ok, d.alloc(kLcore, kGranule, kNoLimit, iova));
		const uint64_t cached = d.stats().cached_ranges;
		EXPECT_EQ(Status::ok, d.free(kLcore, iova, kGranule));
		EXPECT_EQ(cached + 1, d.stats().cached_ranges) << "its cache is open";
		go_on(d);
	});
}

TEST(Processes, AreGoneWhenTheyHaveEnded)
{
	EXPECT_FALSE(is_gone(this_process()));
	EXPECT_TRUE(is_gone(dead_process()));
	EXPECT_FALSE(is_gone(0));
	EXPECT_FALSE(is_gone(dead_process() ^ 1u << 31)) << "of another pid namespace: nobody knows";
	// Killed, but nobody has waited for it.
	const pid_t pid = fork();
	if (pid == 0)
		pause();
	const ProcessId process = this_process() - pid_of(this_process()) + static_cast<uint32_t>(pid);
	EXPECT_FALSE(is_gone(process));
	kill(pid, SIGKILL);
	siginfo_t info;
	waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
	EXPECT_TRUE(is_gone(process));
	waitpid(pid, nullptr, 0);
}

}  // namespace
}  // namespace iovad::core
