// SPDX-License-Identifier: BSD-3-Clause
// Lookups in the table of mappings while it changes.
#include <thread>

#include "mapping_table_fixture.h"
#include "random.h"

namespace iovad::core {
namespace {

// Each mapping says by its addresses who it is: va, len and dir follow from the number in
// its IOVA. One record is used for all of them in turn.
struct Numbered {
	static constexpr uint64_t kStride = 64 * kPage;
	static Mapping of(uint64_t n)
	{
		return {(n + 1) * kStride, kVa + (n % 5) * kPage, (1 + n % 7) * kPage, static_cast<uint32_t>(1 + n % 3)};
	}
	static bool right(const Mapping &m)
	{
		const Mapping want = of(m.iova / kStride - 1);
		return m.iova == want.iova && m.va == want.va && m.len == want.len && m.dir == want.dir;
	}
};

TEST(MappingTableThreads, LookupsBesideReuseAreRightOrNone)
{
	constexpr uint64_t kRounds = 20000, kNumbers = 16;
	Tables t(2);
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> found = 0, wrong = 0;
	std::vector<std::thread> readers;
	for (unsigned i = 0; i < 2; ++i) {
		readers.emplace_back([&, i] {
			Random random(i);
			while (!stop.load(std::memory_order_relaxed)) {
				Mapping m;
				const Mapping want = Numbered::of(random.below(kNumbers));
				if (t.table.find_iova(want.iova, 1, m)) {
					++found;
					wrong += !Numbered::right(m) || m.iova != want.iova;
				}
				const uint64_t va = kVa + random.below(12) * kPage;
				if (t.table.find_va(va, 1, m)) {
					++found;
					wrong += !Numbered::right(m) || !m.holds_va(va, 1);
				}
			}
		});
	}
	for (uint64_t n = 0; n < kRounds || (found == 0 && n < 100 * kRounds); ++n) {
		const Mapping a = Numbered::of(n % kNumbers), b = Numbered::of((n * 7 + 1) % kNumbers);
		MappingRecord *ra = t.add(a.iova, a.va, a.len, a.dir);
		if (a.iova != b.iova)
			t.remove(t.add(b.iova, b.va, b.len, b.dir));
		t.remove(ra);
	}
	stop = true;
	for (std::thread &r : readers)
		r.join();
	EXPECT_EQ(0u, wrong);
	EXPECT_GT(found, 0u);
}

// What stays mapped is found at every moment, whatever comes and goes around it.
TEST(MappingTableThreads, WhatStaysIsAlwaysFound)
{
	Tables t(8);
	MappingRecord *stays = t.add(0x100000, kVa, 3 * kPage);
	std::atomic<bool> stop = false;
	std::atomic<uint64_t> missed = 0, looked = 0;
	std::thread reader([&] {
		while (!stop.load(std::memory_order_relaxed)) {
			Mapping m;
			missed += !t.table.find_iova(0x100000 + kPage, 1, m) || m.iova != 0x100000;
			missed += !t.table.find_va(kVa + kPage, 1, m);
			++looked;
		}
	});
	for (unsigned n = 0; n < 5000 || looked < 100; ++n) {
		MappingRecord *around = t.add(0x200000, kVa - kPage, 5 * kPage), *inside = t.add(0x300000, kVa + kPage, kPage);
		t.remove(inside);
		t.remove(around);
	}
	stop = true;
	reader.join();
	EXPECT_EQ(0u, missed);
	t.remove(stays);
}

}  // namespace
}  // namespace iovad::core
