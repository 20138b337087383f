// SPDX-License-Identifier: BSD-3-Clause
// A sweep: a life of something in the library, where the nth request for one kind of thing fails, for
// every n, and also all that follow: errors are clear, and nothing is left. The linker leads the
// library's calls to failing_calls.cpp (--wrap, see meson.build).
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ostream>

#include <gtest/gtest.h>

namespace iovad::test {

// What can run out. The nth from now and the times - 1 that follow fail.
struct Source {
	std::atomic<uint64_t> calls = 0, first = 0, end = 0;

	bool fails()
	{
		const uint64_t n = ++calls;
		return first <= n && n < end;
	}
	void fail(uint64_t nth, uint64_t times)
	{
		first = calls + nth;
		end = first + times;
	}
	void heal() { first = end = 0; }
};
extern Source memory, memzones, services, callbacks, threads, allocations;
extern thread_local bool allocations_count;  // on this thread, at the moment

// What EAL knows of.
struct Left {
	unsigned zones = 0;
	size_t bytes = 0;
	unsigned pieces = 0;

	bool operator==(const Left &) const = default;
	friend std::ostream &operator<<(std::ostream &out, const Left &l)
	{
		return out << l.zones << " memzones, " << l.bytes << " bytes in " << l.pieces << " pieces";
	}
};

Left left();

// Calls of the library: allocations of this thread count.
template <class Call> auto counted(Call call)
{
	allocations_count = true;
	const auto result = call();
	allocations_count = false;
	return result;
}

inline bool is_lack(int error) { return error == -ENOMEM || error == -EAGAIN || error == -ENOSPC; }

// Life().live() returns how many calls were refused.
template <class Life> void sweep(Source &source)
{
	ASSERT_EQ(0u, Life().live()) << "what is made once is made";
	const Left before = left();
	const uint64_t calls = source.calls;
	ASSERT_EQ(0u, Life().live());
	const uint64_t all = source.calls - calls;
	ASSERT_EQ(before, left());
	ASSERT_GT(all, 0u) << "nothing to break";
	for (uint64_t n = 1; n <= all; ++n) {
		for (const uint64_t times : {uint64_t{1}, uint64_t{1} << 30}) {
			SCOPED_TRACE(testing::Message() << "n = " << n << " of " << all << ", " << times << " times");
			source.fail(n, times);
			Life().live();
			source.heal();
			ASSERT_EQ(before, left());
			ASSERT_EQ(0u, Life().live()) << "it works again";
			ASSERT_EQ(before, left());
			if (testing::Test::HasFailure())
				return;
		}
	}
}

}  // namespace iovad::test
