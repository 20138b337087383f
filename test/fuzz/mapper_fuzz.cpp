// SPDX-License-Identifier: BSD-3-Clause
// Mapping through the software IOMMU, strictly and lazily, with regions and failures, beside a map
// of pages: what is owned is reachable, at one address, and what was unmapped no longer is.
#include <map>
#include <memory>
#include <vector>

#include "../dma/lazy_fixture.h"
#include "fuzz.h"

namespace iovad::dma {
namespace {

using fuzz::Input;

enum class Op { map, unmap, unmap_lazily, unmap_wrongly, add_region, remove_region, pass, drain, make_room, break_something };
constexpr unsigned kOps = 10;
constexpr unsigned kLcores = 4;

struct Claim {
	uint64_t iova, va, len;
	uint32_t dir;
};

class Run {
public:
	Run(Input &in, const RigConfig &config) : in_(in), lazy_(config.policy != Policy::strict), rig_(config) {}

	void run()
	{
		fuzz::run_steps(in_, kOps, 16, [this](uint64_t op) { step(static_cast<Op>(op)); }, [this] { check(); });
		rig_.faulty.heal();
		rig_.starve(0);
		while (!claims_.empty())
			unmap(false);
		while (!regions_.empty())
			remove_region();
		rig_.expect_nothing_left();
		check();
	}

private:
	void step(Op op)
	{
		switch (op) {
		case Op::map: return map();
		case Op::unmap: return unmap(false);
		case Op::unmap_lazily: return unmap(lazy_);
		case Op::unmap_wrongly: return unmap_wrongly();
		case Op::add_region: return add_region();
		case Op::remove_region: return remove_region();
		case Op::pass: return static_cast<void>(rig_.pass());
		case Op::drain: return drain();
		case Op::make_room: return static_cast<void>(rig_.mapper.make_room(lcore()));
		case Op::break_something: return break_something();
		}
	}

	unsigned lcore() { return in_.byte() % kLcores; }
	// Close together, so that mappings share pages; or where the records of pages have other tables.
	void memory(uint64_t &va, uint64_t &len)
	{
		va = kMemory + in_.byte() % 4 * 600 * k1G + in_.byte() * uint64_t{1024};
		len = in_.length(64) * k4K - in_.byte() * uint64_t{8};
	}
	static uint64_t page(uint64_t address) { return address & ~(k4K - 1); }

	template <class Use> static void for_each_page(const Claim &c, Use use)
	{
		for (uint64_t iova = page(c.iova); iova < c.iova + c.len; iova += k4K)
			use(iova, page(c.va) + (iova - page(c.iova)));
	}
	void own(const Claim &c)
	{
		for_each_page(c, [&](uint64_t iova, uint64_t va) {
			Page &p = pages_[iova];
			EXPECT_TRUE(p.owners == 0 || p.va == va) << "owned twice: " << std::hex << iova;
			p.va = va;
			++p.owners;
		});
		EXPECT_EQ(c.iova % k4K, c.va % k4K);
	}
	void disown(const Claim &c)
	{
		for_each_page(c, [&](uint64_t iova, uint64_t) { --pages_[iova].owners; });
	}

	void map()
	{
		uint64_t va, len, iova = 0;
		memory(va, len);
		const unsigned how = in_.byte(), lcore = this->lcore();
		const auto dir = 1 + how % 3;
		const uint64_t limit = how < 192 ? kNoLimit : kLimit32;
		const Status status = rig_.mapper.map(lcore, at(va), len, limit, dir, iova).status;
		if (status != Status::ok) {
			EXPECT_TRUE(broken_ || status == Status::no_space || status == Status::no_memory) << static_cast<int>(status);
			return;
		}
		EXPECT_LE(iova + len - 1, limit);
		claims_.push_back({iova, va, len, dir});
		own(claims_.back());
	}

	static Claim take_out(std::vector<Claim> &from, uint64_t pick)
	{
		std::swap(from[pick % from.size()], from.back());
		const Claim claim = from.back();
		from.pop_back();
		return claim;
	}
	void unmap(bool lazily)
	{
		const uint64_t pick = in_.word();
		const unsigned lcore = this->lcore();
		if (claims_.empty())
			return;
		const Claim c = take_out(claims_, pick);
		disown(c);
		const Status status = lazily ? rig_.unmap_lazy(c.iova, c.len, lcore) : rig_.mapper.unmap(lcore, c.iova, c.len).status;
		EXPECT_TRUE(status == Status::ok || (broken_ && status == Status::failed)) << static_cast<int>(status);
		if (!lazily && !broken_ && !lazy_)
			expect_unreachable(c);
	}
	// Where nobody owns the first page.
	void unmap_wrongly()
	{
		const uint64_t iova = k4K * (1 + in_.word());
		const uint64_t len = in_.length(64) * k4K;
		const auto p = pages_.find(iova);
		if (p == pages_.end() || p->second.owners == 0)
			EXPECT_NE(Status::ok, rig_.mapper.unmap(lcore(), iova, len).status);
	}

	void add_region()
	{
		uint64_t va, len, iova = 0;
		memory(va, len);
		const uint32_t dir = 1 + in_.byte() % 3u;
		bool overlaps = false;
		for (const Claim &r : regions_)
			overlaps |= va < r.va + r.len && r.va < va + len;
		const Status status = rig_.add_region(va, len, iova, dir);
		EXPECT_EQ(overlaps, status == Status::exists);
		if (status == Status::ok) {
			regions_.push_back({iova, va, len, dir});
			own(regions_.back());
		}
	}
	void remove_region()
	{
		const uint64_t pick = in_.word();
		if (regions_.empty())
			return;
		const Claim r = take_out(regions_, pick);
		const Status status = rig_.remove_region(r.va, r.len);
		EXPECT_TRUE(status == Status::ok || status == Status::busy || (broken_ && status == Status::failed));
		if (status == Status::busy)
			regions_.push_back(r);
		else
			disown(r);
	}

	void drain()
	{
		if (rig_.mapper.drain(lcore()).ok())
			EXPECT_EQ(0u, rig_.deferred());
		if (broken_)
			return;
		for (const auto &[iova, p] : pages_)
			EXPECT_TRUE(p.owners != 0 || rig_.faults(iova)) << std::hex << iova;
	}

	void break_something()
	{
		const Call kinds[] = {Call::map, Call::unmap, Call::any};
		const Outcome outcomes[] = {kBroken, {Status::no_space, ENOSPC, "full"}, {Status::no_memory, ENOMEM, "none"}};
		const unsigned how = in_.byte();
		rig_.faulty.fail(kinds[how % 3], 1 + how / 3 % 4, outcomes[how / 12 % 3], 1 + how / 36 % 3);
		rig_.starve(how / 108);
		broken_ = true;
	}

	void expect_unreachable(const Claim &c)
	{
		for_each_page(c, [&](uint64_t iova, uint64_t) {
			EXPECT_TRUE(pages_[iova].owners != 0 || rig_.faults(iova)) << std::hex << iova;
		});
	}
	void check()
	{
		EXPECT_TRUE(rig_.verify());
		for (const auto *list : {&claims_, &regions_}) {
			for (const Claim &c : *list) {
				EXPECT_TRUE(rig_.reaches(c.iova, c.va, c.len, c.dir)) << std::hex << c.iova;
				EXPECT_EQ(c.va, rig_.iova2va(c.iova, c.len));
				const uint64_t found = rig_.va2iova(c.va);
				EXPECT_TRUE(found != 0 ? rig_.iova2va(found) == c.va : rig_.table.starved());
			}
		}
	}

	struct Page {
		uint64_t va = 0;
		unsigned owners = 0;
	};

	Input &in_;
	const bool lazy_;
	bool broken_ = false;  // since a call failed, translations may stay where nobody owns them
	LazyRig rig_;
	std::vector<Claim> claims_, regions_;
	std::map<uint64_t, Page> pages_;  // by I/O virtual address; all that were ever owned
};

}  // namespace
}  // namespace iovad::dma

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using namespace iovad::dma;
	constexpr uint64_t kPages[] = {64, 600, uint64_t{1} << 21, uint64_t{1} << 28};
	constexpr Policy kPolicies[] = {Policy::strict, Policy::lazy, Policy::checked};
	iovad::fuzz::Input in(data, size);
	const unsigned how = in.byte();
	RigConfig config;
	config.last = (kPages[how % 4] + 1) * k4K - 1;
	config.cached = how / 4 % 2 != 0;
	config.policy = kPolicies[how / 8 % 3];
	config.records = how / 24 % 2 ? 16 : 256;
	config.max_ranges = 1000;
	Run(in, config).run();
	return 0;
}
