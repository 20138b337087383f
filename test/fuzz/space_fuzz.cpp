// SPDX-License-Identifier: BSD-3-Clause
// An address space with so few nodes that they run out, beside a map of ranges.
#include <cstdlib>
#include <memory>
#include <vector>

#include "../eal/domain/model_oracle.h"
#include "../unit/tree_fixture.h"
#include "core/address_space.h"
#include "fuzz.h"

namespace iovad::core {
namespace {

using fuzz::Input;
using test::Oracle;

enum class Op { alloc_run, alloc_row, free, free_run, free_wrongly, reserve, unreserve, find, next_live, settle, add_nodes };
constexpr unsigned kOps = 11;

class Run {
public:
	Run(Input &in, Pfn first, Pfn end, uint32_t nodes)
		: in_(in), first_(first), end_(end), oracle_(first, end), nodes_(nodes),
		  memory_(std::aligned_alloc(64, (size_t{nodes} + kSpare) * kNodeBytes))
	{
		space_.init(memory_.get(), nodes, first, end, first + (end - first) / 3);
	}

	void run()
	{
		fuzz::run_steps(in_, kOps, 16, [this](uint64_t op) { step(static_cast<Op>(op)); }, [this] { check(); });
		while (!held_.empty())
			free(0);
		check();
	}

private:
	static constexpr uint32_t kSpare = 64;

	struct Held {
		Pfn start;
		uint64_t size;
		Value value;
	};

	void step(Op op)
	{
		switch (op) {
		case Op::alloc_run: return alloc_run();
		case Op::alloc_row: return alloc_row();
		case Op::free: return free(in_.word());
		case Op::free_run: return free_run();
		case Op::free_wrongly: return free_wrongly();
		case Op::reserve: return reserve();
		case Op::unreserve: return unreserve();
		case Op::find: return find();
		case Op::next_live: return next_live();
		case Op::settle: return space_.settle();
		case Op::add_nodes: return add_nodes();
		}
	}

	uint64_t align() { return uint64_t{1} << in_.below(12); }
	// Also the granule below the first, and beyond the end.
	Pfn limit()
	{
		const uint64_t b = in_.byte();
		return b < 128 ? ~Pfn{0} : first_ - 1 + (end_ - first_ + 2) * (b - 128) / 127;
	}
	Value value() { return in_.byte() % 2 ? kLive : kBlock; }
	Pfn granule() { return first_ + in_.word() % (end_ - first_); }
	Pfn end_of(Pfn limit) const { return limit < end_ ? limit + 1 : end_; }

	// Whether nodes may be missing: where some are left, but fewer than two paths, anything goes.
	bool starved()
	{
		constexpr uint64_t kTwoPaths = 12;
		return nodes_ - space_.totals().nodes < kTwoPaths || deferred() != 0;
	}
	uint64_t deferred() { return space_.totals().deferred_frees; }

	void take(Pfn start, uint64_t size, Value value)
	{
		oracle_.take(start, start + size);
		held_.push_back({start, size, value});
	}

	void alloc_run()
	{
		const uint64_t size = in_.length(end_ - first_), align = this->align();
		const Pfn limit = this->limit();
		const Value value = this->value();
		const unsigned n = 1 + in_.byte() % AddressSpace::kRun;
		// What is deferred is free, and handed out when nodes come.
		const bool exact = deferred() == 0;
		Pfn run[AddressSpace::kRun];
		Status status = Status::ok;
		const unsigned got = space_.alloc_run(size, align, limit, value, run, n, status);
		EXPECT_LE(got, n);
		for (unsigned i = 0; i < got; ++i) {
			const auto highest = oracle_.highest(size, align, end_of(limit));
			EXPECT_TRUE(highest && (exact ? run[i] == *highest : run[i] <= *highest)) << run[i];
			EXPECT_EQ(0u, run[i] % align);
			EXPECT_TRUE(oracle_.holds(run[i], run[i] + size));
			EXPECT_EQ(nullptr, oracle_.overlap(run[i], run[i] + size)) << "owned twice: " << run[i];
			take(run[i], size, value);
		}
		if (got == n)
			return;
		if (status == Status::again)
			EXPECT_TRUE(starved());
		else
			EXPECT_TRUE(status == Status::no_space && !oracle_.highest(size, align, end_of(limit)))
				<< size << " granules fit";
	}

	// Only where all lie side by side; else nothing happens.
	void alloc_row()
	{
		const uint64_t size = uint64_t{1} << in_.below(7);
		const Pfn limit = this->limit();
		const unsigned n = 1 + in_.byte() % AddressSpace::kRun;
		Pfn row[AddressSpace::kRun];
		if (!space_.alloc_row(size, size, limit, kBlock, row, n))
			return;
		for (unsigned i = 0; i < n; ++i) {
			EXPECT_EQ(row[0], row[i] + i * size);
			EXPECT_EQ(0u, row[i] % size);
			EXPECT_TRUE(oracle_.holds(row[i], row[i] + size) && row[i] + size <= end_of(limit));
			EXPECT_EQ(nullptr, oracle_.overlap(row[i], row[i] + size)) << "owned twice: " << row[i];
			take(row[i], size, kBlock);
		}
	}

	Held take_out(uint64_t pick)
	{
		std::swap(held_[pick % held_.size()], held_.back());
		const Held held = held_.back();
		held_.pop_back();
		oracle_.give_back(held.start);
		return held;
	}
	void free(uint64_t pick)
	{
		if (held_.empty())
			return;
		const Held held = take_out(pick);
		EXPECT_EQ(Status::ok, space_.free(held.start, held.size, held.value));
	}

	// As many as are alike, up to n.
	void free_run()
	{
		const uint64_t pick = in_.word();
		const unsigned n = 1 + in_.byte() % AddressSpace::kFreeRun;
		if (held_.empty())
			return;
		const Held one = take_out(pick);
		std::vector<Pfn> starts = {one.start};
		for (size_t i = 0; i < held_.size() && starts.size() < n;) {
			if (held_[i].size == one.size && held_[i].value == one.value)
				starts.push_back(take_out(i).start);
			else
				++i;
		}
		const auto count = static_cast<unsigned>(starts.size());
		EXPECT_EQ(count, space_.free_run(one.size, one.value, starts.data(), count));
	}

	void free_wrongly()
	{
		const Pfn start = granule();
		const uint64_t size = in_.length(end_ - start);
		const Value value = this->value();
		for (const Held &held : held_) {
			if (held.start == start && held.size == size && held.value == value)
				return;
		}
		EXPECT_EQ(Status::not_found, space_.free(start, size, value));
	}

	void reserve()
	{
		const Pfn start = granule(), end = start + in_.length(end_ - start);
		const Status status = space_.reserve(start, end);
		if (status == Status::again)
			EXPECT_TRUE(starved());
		else
			EXPECT_EQ(oracle_.reserve(start, end) ? Status::ok : Status::exists, status);
	}
	// Of the first that is reserved above some granule, mostly.
	void unreserve()
	{
		Pfn start = granule();
		Pfn end = start + in_.length(end_ - start);
		if (const Oracle::Range *r = oracle_.overlap(start, end_); r && r->reserved && in_.byte() % 4 != 0) {
			start = std::max(start, r->start);
			end = std::min(r->end, std::max(end, start + 1));
		}
		const Status status = space_.unreserve(start, end);
		if (status == Status::again)
			EXPECT_TRUE(starved());
		else
			EXPECT_EQ(oracle_.unreserve(start, end) ? Status::ok : Status::not_found, status);
	}

	void find()
	{
		const Pfn pfn = granule();
		const Extent e = space_.find(pfn);
		const Oracle::Range *r = oracle_.overlap(pfn, pfn + 1);
		EXPECT_TRUE(e.start <= pfn && pfn < e.end);
		EXPECT_EQ(r != nullptr, e.value != 0) << pfn;
		if (r) {
			EXPECT_EQ(r->start, e.start);
			EXPECT_EQ(r->end, e.end);
			EXPECT_EQ(r->reserved, e.value == kReserved);
		}
	}
	void next_live()
	{
		const Pfn pfn = granule();
		const Extent e = space_.next_live(pfn);
		Pfn expected = ~Pfn{0};
		for (const Held &held : held_) {
			if (held.start + held.size > pfn)
				expected = std::min(expected, held.start);
		}
		EXPECT_EQ(expected != ~Pfn{0}, e.value != 0);
		if (e.value != 0)
			EXPECT_EQ(expected, e.start);
	}

	void add_nodes()
	{
		const uint32_t n = std::min(1 + in_.byte() % 8u, kSpare - spare_used_);
		if (n == 0)
			return;
		EXPECT_TRUE(space_.add_nodes(static_cast<std::byte *>(memory_.get()) + nodes_ * kNodeBytes, n * kNodeBytes));
		spare_used_ += n;
		nodes_ += n;
	}

	void check()
	{
		const AddressSpace::Totals t = space_.totals();
		EXPECT_EQ(oracle_.live_ranges(), t.live_ranges);
		EXPECT_EQ(oracle_.live(), t.live_granules);
		EXPECT_EQ(oracle_.reserved(), t.reserved_granules);
		EXPECT_EQ(oracle_.granules(), t.live_granules + t.reserved_granules + t.free_granules);
		const AddressSpace::Guard guard(space_);
		EXPECT_TRUE(space_.verify_locked(stderr));
	}

	Input &in_;
	Pfn first_, end_;
	Oracle oracle_;
	uint64_t nodes_;
	uint32_t spare_used_ = 0;
	std::unique_ptr<void, FreeDeleter> memory_;
	AddressSpace space_;
	std::vector<Held> held_;
};

}  // namespace
}  // namespace iovad::core

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	using namespace iovad::core;
	constexpr struct {
		Pfn first, end;
	} kSpaces[] = {{1, 300}, {1, 40000}, {(1 << 20) - 3000, (1 << 20) + 3000}, {Pfn{1} << 40, (Pfn{1} << 40) + (Pfn{1} << 36)}};
	Input in(data, size);
	const auto &space = kSpaces[in.byte() % 4];
	const uint32_t nodes = 1 + in.byte() % 12u;
	Run(in, space.first, space.end, nodes).run();
	return 0;
}
