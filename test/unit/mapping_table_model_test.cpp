// SPDX-License-Identifier: BSD-3-Clause
// The table of mappings beside a map. Of every lookup it is known which answers are right.
#include <algorithm>
#include <map>

#include "mapping_table_fixture.h"
#include "random.h"

namespace iovad::core {
namespace {

bool may_share(const MappingRecord &r, uint64_t va, uint64_t len, uint32_t dir)
{
	const Mapping m = r.mapping();
	return (r.region && m.holds_va(va, len) && (dir & ~m.dir) == 0) || (m.va == va && m.len == len && m.dir == dir);
}

class Model {
public:
	explicit Model(uint64_t seed) : random(seed) {}

	void step(unsigned number)
	{
		if (live.size() < 40 && random.below(5) < 3)
			add(number);
		else if (!live.empty())
			remove();
	}
	void check()
	{
		ASSERT_TRUE(t.verify());
		for (int i = 0; i < 40; ++i)
			look_up();
	}
	void end()
	{
		while (!live.empty())
			remove();
		ASSERT_TRUE(t.verify());
	}

private:
	static constexpr uint64_t kPages = 1100;  // more than two tables

	void add(unsigned number)
	{
		const uint64_t first = random.below(kPages);
		uint64_t pages = 1 + random.below(random.below(4) == 0 ? kPages - first : 1 + std::min<uint64_t>(kPages - first - 1, 8));
		// Own addresses for each; now and then close together.
		const uint64_t iova = (number + 1) * kPages * kPage + random.below(3) * kPage;
		pages = std::min(pages, kPages - 3);
		const auto dir = 1 + static_cast<uint32_t>(random.below(3));
		MappingRecord *r = t.add(iova, kVa + first * kPage, pages * kPage, dir, random.below(2) != 0);
		live.emplace(iova, r);
	}
	void remove()
	{
		auto it = live.begin();
		std::advance(it, static_cast<long>(random.below(live.size())));
		const Mapping gone = it->second->mapping();
		t.remove(it->second);
		live.erase(it);
		EXPECT_FALSE(t.by_iova(gone.iova));
	}
	void look_up()
	{
		const uint64_t va = kVa + random.below(kPages * kPage), len = 1 + random.below(20 * kPage);
		bool held = false, single = false;
		for (const auto &[iova, r] : live) {
			held |= r->mapping().holds_va(va, len);
			single |= r->mapping().holds_va(va, 1);
		}
		const auto m = t.by_va(va, len);
		if (m) {
			ASSERT_TRUE(live.contains(m->iova));
			const Mapping real = live[m->iova]->mapping();
			ASSERT_EQ(real.va, m->va);
			ASSERT_EQ(real.len, m->len);
			ASSERT_TRUE(real.holds_va(va, len));
		}
		ASSERT_LE(m.has_value(), held);
		ASSERT_EQ(single, t.by_va(va).has_value()) << "one byte is always found";
		// Exactly what was mapped is, where nothing staggered overlaps it.
		for (const auto &[iova, r] : live) {
			const Mapping mapping = r->mapping();
			bool clear = true;
			for (const auto &[other_iova, other] : live) {
				const Mapping o = other->mapping();
				const bool apart = o.va >= mapping.va + mapping.len || mapping.va >= o.va + o.len;
				const bool nested = mapping.holds_va(o.va, o.len) || o.holds_va(mapping.va, mapping.len);
				clear &= other == r || apart || nested;
			}
			if (clear) {
				ASSERT_TRUE(t.by_va(mapping.va, mapping.len));
			}
			const auto found = t.by_iova(iova + random.below(mapping.len));
			ASSERT_TRUE(found);
			ASSERT_EQ(iova, found->iova);
		}
		// What can be shared is found, and only that.
		const uint32_t dir = 1 + static_cast<uint32_t>(random.below(3));
		const uint64_t first = va / kPage * kPage, bytes = (va + len + kPage - 1) / kPage * kPage - first;
		bool can = false;
		for (const auto &[iova, r] : live)
			can |= may_share(*r, first, bytes, dir);
		LockGuard guard(t.table.lock());
		const MappingRecord *shared = t.table.shareable(first, bytes, dir, ~uint64_t{0});
		ASSERT_EQ(can, shared != nullptr);
		if (shared) {
			ASSERT_TRUE(may_share(*shared, first, bytes, dir));
		}
	}

	Random random;
	Tables t;
	std::map<uint64_t, MappingRecord *> live;
};

TEST(MappingTableModel, AgreesWithAMap)
{
	for (uint64_t seed = 1; seed <= 30; ++seed) {
		SCOPED_TRACE(seed);
		Model model(seed);
		for (unsigned i = 0; i < 150; ++i) {
			model.step(i);
			if (i % 3 == 0)
				model.check();
			if (testing::Test::HasFatalFailure())
				return;
		}
		model.end();
	}
}

}  // namespace
}  // namespace iovad::core
