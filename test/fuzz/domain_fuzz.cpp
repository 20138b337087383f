// SPDX-License-Identifier: BSD-3-Clause
// A domain with caches and depot, of several lcores that one thread plays in turn, beside a map of
// ranges.
#include <bit>
#include <vector>

#include "../eal/domain/model_oracle.h"
#include "../unit/domain_fixture.h"
#include "fuzz.h"

namespace iovad::core {
namespace {

using fuzz::Input;
using test::Oracle;

enum class Op {
	alloc, alloc_bulk, alloc_range, free, free_bulk, free_to_tree, free_range, free_wrongly, reserve, unreserve, find,
	reclaim, trim, release_lcore, nonsense
};
constexpr unsigned kOps = 15;
constexpr uint64_t kGranule = OwnedDomain::kGranule, kNoLimit = ~uint64_t{0};
constexpr unsigned kLcores = 4, kLongestBulk = 80;

DomainConfig config_of(const Geometry &geometry, bool cached)
{
	DomainConfig config = OwnedDomain::config(0, 4096);
	config.geometry = geometry;
	config.caches = kLcores - 1;  // one is left to the shared cache
	config.magazines = 48;
	config.cached = cached && config.cached;
	return config;
}

class Run {
public:
	Run(Input &in, const Geometry &geometry, bool cached)
		: in_(in), config_(config_of(geometry, cached)), owned_(config_), domain_(owned_.domain),
		  oracle_(geometry.first, geometry.end)
	{
	}

	void run()
	{
		fuzz::run_steps(in_, kOps, 32, [this](uint64_t op) { step(static_cast<Op>(op)); }, [this] { check(); });
		while (!blocks_.empty())
			free(1, 0);
		while (!exact_.empty())
			free_range();
		EXPECT_TRUE(domain_.reclaim().complete);
		EXPECT_EQ(0u, domain_.stats().cached_granules);
		check();
	}

private:
	struct Held {
		Pfn start;
		uint64_t size, occupied;
	};

	void step(Op op)
	{
		switch (op) {
		case Op::alloc: return alloc(1);
		case Op::alloc_bulk: return alloc(1 + in_.byte() % kLongestBulk);
		case Op::alloc_range: return alloc_range();
		case Op::free: return free(1, in_.word());
		case Op::free_bulk: return free(1 + in_.byte() % kLongestBulk, in_.word());
		case Op::free_to_tree: return free_to_tree();
		case Op::free_range: return free_range();
		case Op::free_wrongly: return free_wrongly();
		case Op::reserve: return reserve();
		case Op::unreserve: return unreserve();
		case Op::find: return find();
		case Op::reclaim: return static_cast<void>(domain_.reclaim());
		case Op::trim: return trim();
		case Op::release_lcore: return domain_.release_lcore(in_.byte() % (kLcores - 1));
		case Op::nonsense: return nonsense();
		}
	}

	// The last plays a thread that is none.
	unsigned lcore()
	{
		const unsigned l = in_.byte() % (kLcores + 1);
		return l == kLcores ? kNoLcore : l;
	}
	// None, 32 bits, anywhere, or through what was handed out or given back last and its neighbours,
	// which is what magazines have on top.
	uint64_t limit()
	{
		const uint64_t b = in_.byte(), first = config_.geometry.first_byte();
		if (b < 96)
			return kNoLimit;
		if (b < 128)
			return std::max(first, k4GiB - 1);
		if (b < 160)
			return first + oracle_.granules() * (b - 128) / 31 * kGranule + in_.word() % kGranule;
		return std::max(first, (last_ + b - 192) * kGranule - 1);
	}
	Pfn granule() { return oracle_.first() + in_.word() % oracle_.granules(); }
	Pfn end_of(uint64_t limit) const { return limit == kNoLimit ? config_.geometry.end : (limit + 1) / kGranule; }
	bool may_lack_nodes() { return domain_.stats().tree_nodes > 200; }

	void expect_rightly_refused(Status status, uint64_t size, uint64_t align, uint64_t limit, unsigned n)
	{
		if (status == Status::again) {
			EXPECT_TRUE(may_lack_nodes());
			return;
		}
		EXPECT_EQ(Status::no_space, status);
		Oracle left = oracle_;
		for (unsigned i = 0; i < n; ++i) {
			const auto start = left.highest(size, align, end_of(limit));
			if (!start)
				return;
			left.take(*start, *start + size);
		}
		ADD_FAILURE() << "no space, but " << n << " of " << size << " granules fit";
	}

	Pfn expect_mine(uint64_t iova, uint64_t size, uint64_t align, uint64_t limit)
	{
		const Pfn start = iova / kGranule, end = start + size;
		EXPECT_EQ(0u, iova % (align * kGranule)) << iova;
		EXPECT_TRUE(oracle_.holds(start, end) && end <= end_of(limit)) << start;
		EXPECT_EQ(nullptr, oracle_.overlap(start, end)) << "owned twice: " << start;
		if (!config_.cached)
			EXPECT_EQ(oracle_.highest(size, align, end_of(limit)), start);
		oracle_.take(start, end);
		return last_ = start;
	}

	void alloc(unsigned n)
	{
		const unsigned lcore = this->lcore();
		const uint64_t size = in_.length(oracle_.granules()), limit = this->limit();
		const uint64_t occupied = block_of(size), align = std::bit_ceil(size);
		uint64_t iovas[kLongestBulk];
		const Status status = n == 1 ? domain_.alloc(lcore, size * kGranule, limit, iovas[0])
			: domain_.try_alloc_bulk(lcore, size * kGranule, limit, iovas, n) ? Status::ok
			: domain_.alloc_bulk(lcore, size * kGranule, limit, iovas, n);
		if (status != Status::ok)
			return expect_rightly_refused(status, occupied, align, limit, n);
		for (unsigned i = 0; i < n; ++i)
			blocks_.push_back({expect_mine(iovas[i], occupied, align, limit), size, occupied});
	}

	void alloc_range()
	{
		const uint64_t size = in_.length(oracle_.granules()), align = uint64_t{1} << in_.below(12), limit = this->limit();
		uint64_t iova;
		const Status status = domain_.alloc_range(size * kGranule, align * kGranule, limit, iova);
		if (status != Status::ok)
			return expect_rightly_refused(status, size, align, limit, 1);
		exact_.push_back({expect_mine(iova, size, align, limit), size, size});
	}

	Held take_out(std::vector<Held> &from, uint64_t pick)
	{
		std::swap(from[pick % from.size()], from.back());
		const Held held = from.back();
		from.pop_back();
		last_ = held.start;
		oracle_.give_back(held.start);
		return held;
	}
	// Those of one length, up to n.
	std::vector<uint64_t> take_alike(unsigned n, uint64_t pick, uint64_t &size)
	{
		const Held one = take_out(blocks_, pick);
		size = one.size;
		std::vector<uint64_t> iovas = {one.start * kGranule};
		for (size_t i = 0; i < blocks_.size() && iovas.size() < n;) {
			if (blocks_[i].size == size)
				iovas.push_back(take_out(blocks_, i).start * kGranule);
			else
				++i;
		}
		return iovas;
	}
	void free(unsigned n, uint64_t pick)
	{
		const unsigned lcore = this->lcore();
		if (blocks_.empty())
			return;
		uint64_t size;
		const std::vector<uint64_t> iovas = take_alike(n, pick, size);
		const auto count = static_cast<unsigned>(iovas.size());
		if (n == 1)
			EXPECT_EQ(Status::ok, domain_.free(lcore, iovas[0], size * kGranule));
		else if (!domain_.try_free_bulk(lcore, iovas.data(), size * kGranule, count))
			EXPECT_EQ(Status::ok, domain_.free_bulk(lcore, iovas.data(), size * kGranule, count));
	}
	void free_to_tree()
	{
		const uint64_t pick = in_.word();
		const unsigned n = 1 + in_.byte() % kLongestBulk;
		if (blocks_.empty())
			return;
		uint64_t size;
		const std::vector<uint64_t> iovas = take_alike(n, pick, size);
		EXPECT_EQ(Status::ok, domain_.free_to_tree(iovas.data(), size * kGranule, static_cast<unsigned>(iovas.size())));
	}
	void free_range()
	{
		const uint64_t pick = in_.word();
		if (exact_.empty())
			return;
		const Held held = take_out(exact_, pick);
		EXPECT_EQ(Status::ok, domain_.free_range(held.start * kGranule, held.size * kGranule));
	}

	// Blocks are refused, and whatever is not exactly a range; long blocks are ranges to it.
	void free_wrongly()
	{
		const Pfn start = granule();
		const uint64_t size = in_.length(config_.geometry.end - start);
		const Oracle::Range *r = oracle_.overlap(start, start + 1);
		if (r && !r->reserved && r->start == start && r->end == start + size)
			return;
		EXPECT_EQ(Status::not_found, domain_.free_range(start * kGranule, size * kGranule));
	}

	void reserve()
	{
		const Pfn start = granule(), end = start + in_.length(config_.geometry.end - start);
		const Status status = domain_.reserve(start * kGranule, (end - start) * kGranule);
		if (status == Status::again)
			EXPECT_TRUE(may_lack_nodes());
		else
			EXPECT_EQ(oracle_.reserve(start, end) ? Status::ok : Status::exists, status);
	}
	void unreserve()
	{
		Pfn start = granule();
		Pfn end = start + in_.length(config_.geometry.end - start);
		if (const Oracle::Range *r = oracle_.overlap(start, config_.geometry.end); r && r->reserved && in_.byte() % 4 != 0) {
			start = std::max(start, r->start);
			end = std::min(r->end, std::max(end, start + 1));
		}
		const Status status = domain_.unreserve(start * kGranule, (end - start) * kGranule);
		if (status == Status::again)
			EXPECT_TRUE(may_lack_nodes());
		else
			EXPECT_EQ(oracle_.unreserve(start, end) ? Status::ok : Status::not_found, status);
	}

	void find()
	{
		const Pfn pfn = granule();
		const Extent e = domain_.find(pfn * kGranule + in_.byte());
		const Oracle::Range *r = oracle_.overlap(pfn, pfn + 1);
		if (r)
			EXPECT_TRUE(e.start == r->start && e.end == r->end && (e.value == kReserved) == r->reserved) << pfn;
		else  // only a cache can hold what nobody owns
			EXPECT_TRUE(e.value == 0 || (config_.cached && e.value == kBlock)) << pfn;
	}

	void trim()
	{
		const unsigned most = in_.byte() % 16;
		domain_.end_period();
		EXPECT_LE(domain_.trim(most).magazines, most);
	}

	// What cannot be right is refused, and check() sees that nothing changed.
	void nonsense()
	{
		const uint64_t byte = in_.byte(), odd = (uint64_t{in_.word()} << in_.below(48)) | 1;
		const unsigned lcore = this->lcore();
		uint64_t iova;
		EXPECT_EQ(Status::invalid, domain_.alloc(lcore, odd, kNoLimit, iova));
		EXPECT_EQ(Status::invalid, domain_.alloc(lcore, 0, kNoLimit, iova));
		EXPECT_EQ(Status::invalid, domain_.alloc(lcore, (oracle_.granules() + 1 + byte) * kGranule, kNoLimit, iova));
		EXPECT_EQ(Status::invalid, domain_.alloc(lcore, kGranule, config_.geometry.first_byte() - 1, iova));
		EXPECT_EQ(Status::invalid, domain_.alloc_range(kGranule, odd, kNoLimit, iova));
		EXPECT_EQ(Status::invalid, domain_.free(lcore, odd, kGranule));
		EXPECT_EQ(Status::invalid, domain_.free(lcore, config_.geometry.first_byte(), odd));
		EXPECT_EQ(Status::invalid, domain_.free(lcore, config_.geometry.last_byte() + 1, kGranule));
		EXPECT_EQ(Status::invalid, domain_.free_range(odd, kGranule));
		EXPECT_EQ(Status::invalid, domain_.reserve(config_.geometry.first_byte(), (oracle_.granules() + 1 + byte) * kGranule));
		EXPECT_EQ(Status::invalid, domain_.unreserve(odd, kGranule));
	}

	void check()
	{
		const DomainStats s = domain_.stats();
		EXPECT_EQ(oracle_.live_ranges(), s.live_ranges);
		EXPECT_EQ(oracle_.live(), s.live_granules);
		EXPECT_EQ(oracle_.reserved(), s.reserved_granules);
		EXPECT_EQ(oracle_.granules(), s.live_granules + s.cached_granules + s.reserved_granules + s.free_granules);
		if (!config_.cached)
			EXPECT_EQ(0u, s.cached_ranges);
		EXPECT_TRUE(domain_.verify(stderr));
	}

	Input &in_;
	const DomainConfig config_;
	OwnedDomain owned_;
	Domain &domain_;
	Oracle oracle_;
	std::vector<Held> blocks_, exact_;  // by which pair of functions
	Pfn last_ = 1000;
};

}  // namespace
}  // namespace iovad::core

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using namespace iovad::core;
	// Small, below 4 GiB, across it, long; all in pages.
	constexpr struct {
		Pfn first, end;
	} kSpaces[] = {{1, 40}, {1, 5000}, {(1 << 20) - 2000, (1 << 20) + 2000}, {Pfn{1} << 34, Pfn{1} << 35}};
	Input in(data, size);
	const unsigned how = in.byte();
	const auto &space = kSpaces[how % 4];
	Run(in, Geometry::of(kGranule, space.first * kGranule, space.end * kGranule - 1), how / 4 % 4 != 0).run();
	return 0;
}
