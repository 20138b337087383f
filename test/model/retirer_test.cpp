// SPDX-License-Identifier: BSD-3-Clause
// Serving, helping and draining. What drain() waits for is gone when it returns; who stops to serve leaves no queue
// open; and whoever asks for the oldest is told of each entry, wherever it is on its way.
#include <algorithm>

#include "core/clock.h"
#include "core/domain.h"
#include "dma/retirer.h"
#include "explored.h"

namespace iovad::model {
namespace {

using core::RetireQueues;
using Kind = Defect::Kind;

constexpr uint64_t kPage = 4096, kForEver = ~uint64_t{0};
constexpr unsigned kPages = 2, kControl = 9;

// Notes, plainly, what is gone.
class Notes : public dma::Backend {
public:
	const char *name() const override { return "notes"; }
	dma::Outcome info(dma::Info &) override { return {}; }
	dma::Outcome map(uint64_t, void *, uint64_t, uint32_t) override { return {}; }
	dma::Outcome unmap(uint64_t iova, uint64_t len, uint64_t) override
	{
		for (uint64_t at = iova; at < iova + len; at += kPage)
			gone[at / kPage] = true;
		return {};
	}

	bool gone[2 * kPages + 2] = {};
};

// Two pages are mapped, and whoever unmaps them may defer it.
class RetirerScenario : public Scenario {
public:
	RetirerScenario()
		: domain_(core::DomainState::format(memory(core::DomainState::bytes(config())), config()), 1),
		  table_(*core::MappingTable::format(memory(core::MappingTable::bytes(4)), 4, domain_.geometry())),
		  queues_(*RetireQueues::format(memory(RetireQueues::bytes(1)), 1, 64)), removal_(domain_, table_, notes_),
		  retirer_(domain_, table_, queues_, removal_, true)
	{
		constexpr unsigned kTables = 64;
		auto *tables = static_cast<core::PageIndex::Table *>(memory(kTables * sizeof(core::PageIndex::Table)));
		table_.give_tables(tables, kTables);
		for (uint64_t &iova : page_) {
			check(domain_.alloc(core::kNoLcore, kPage, kForEver, iova) == core::Status::ok, "no page");
			core::MappingRecord *record = table_.take();
			record->whole = 1;
			table_.add(record, {iova, kPage * (100 + iova), kPage, dma::kBidirectional});
		}
		retirer_.serve(kForEver);
	}
	void end() override
	{
		retirer_.drain(kControl);
		for (const uint64_t iova : page_)
			check(!is_put(iova) || notes_.gone[iova / kPage], "an entry is lost");
		check(!retirer_.anything_deferred(), "the sums do not come to nothing");
	}

protected:
	virtual bool is_put(uint64_t) const { return true; }
	void put(unsigned page)
	{
		if (!iovad_hot_retire(&domain_.hot(), 0, page_[page], kPage) && !retirer_.put(0, page_[page], kPage))
			at_once_ = true;
	}
	core::RetireQueue &queue()
	{
		core::RetireQueue *own = retirer_.by_lcore_[0].load(std::memory_order_relaxed);
		return own ? *own : queues_.shared();
	}

	static core::DomainConfig config()
	{
		return {core::Geometry::of(kPage, kPage, 2 * (kPages + 1) * kPage - 1), 64, 0, 0, 0, false};
	}
	static void *memory(size_t bytes) { return Machine::get().allocate(bytes, 64); }

	core::Domain domain_;
	core::MappingTable &table_;
	RetireQueues &queues_;
	Notes notes_;
	dma::Removal removal_;
	dma::Retirer retirer_;
	uint64_t page_[kPages];
	bool at_once_ = false;  // nobody serves: it is the caller's to unmap
};

// An owner helps, since it leaves, while another drains.
class Drained : public RetirerScenario {
public:
	enum class Without { nothing, release_of_helping, acquire_of_helping, waiting };

	explicit Drained(Without without)
	{
		put(0);
		put(1);
		Machine &machine = Machine::get();
		const void *helping = &retirer_.helpers_[0];
		if (without == Without::release_of_helping)
			machine.plant({Kind::relaxed_stores, helping});
		else if (without == Without::acquire_of_helping)
			machine.plant({Kind::relaxed_loads, helping});
		else if (without == Without::waiting)
			machine.plant({Kind::blind, helping, nullptr, 0, 1});
	}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override
	{
		if (thread == 0)
			return retirer_.release_lcore(0);
		retirer_.drain(kControl);
		for (const uint64_t iova : page_)
			check(notes_.gone[iova / kPage], "drained, and it is still there");
	}
};

TEST(Retirer, DrainWaitsForWhoHelps)
{
	using Without = Drained::Without;
	constexpr Bounds bounds = {2, 1};
	expect_none_fails<Drained>(bounds, Without::nothing);
	expect_found<Drained>(bounds, Without::release_of_helping);
	expect_found<Drained>(bounds, Without::acquire_of_helping);
	expect_found<Drained>(bounds, Without::waiting);
}

// The owner's queue was never extended when the last that serves goes.
class Ending : public RetirerScenario {
public:
	enum class Without { nothing, second_look };

	explicit Ending(Without without)
	{
		put(1);
		retirer_.drain(kControl);
		queue().close();
		if (without == Without::second_look)
			Machine::get().plant({Kind::blind, &retirer_.served_until_, nullptr, kForEver, 0});
	}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override
	{
		if (thread == 0)
			put(0);
		else
			retirer_.serve(0);
	}
	void end() override
	{
		check(queue().hot()->limit == 0, "nobody serves, and the queue is open");
		RetirerScenario::end();
	}

private:
	bool is_put(uint64_t iova) const override { return iova != page_[0] || !at_once_; }
};

TEST(Retirer, WhoStopsLeavesNoQueueOpen)
{
	constexpr Bounds bounds = {3, 3};
	expect_none_fails<Ending>(bounds, Ending::Without::nothing);
	expect_found<Ending>(bounds, Ending::Without::second_look);
}

// Beside passes, or an owner that helps. The time is counted in calls that ask for it.
class Aging : public RetirerScenario {
public:
	enum class Beside { pass, owner };
	enum class Without { nothing, note_of_passes, note_of_owners };

	Aging(Beside beside, Without without) : beside_(beside)
	{
		put(0);
		put_by_ = core::now_ns();
		Machine &machine = Machine::get();
		if (without == Without::note_of_passes)
			machine.plant({Kind::swapped, &queues_.in_work_since_, &queue().lock_});
		else if (without == Without::note_of_owners)
			machine.plant({Kind::swapped, &queue().helped_since_, &queue().lock_});
	}
	unsigned threads() const override { return 2; }
	void run(unsigned thread) override
	{
		if (thread == 1) {
			ask();
		} else if (beside_ == Beside::pass) {
			retirer_.drain(kControl);
		} else {
			retirer_.help(0, queue());
		}
	}

private:
	bool is_put(uint64_t iova) const override { return iova == page_[0]; }
	void ask()
	{
		const uint64_t oldest = queues_.oldest(kForEver);
		// As it is, whatever this thread may know of it.
		const Machine::Inside as_it_is;
		check(oldest <= put_by_ || notes_.gone[page_[0] / kPage], "an entry is missed");
	}

	const Beside beside_;
	uint64_t put_by_;
};

TEST(Retirer, TheOldestIsSeenWhereverItIs)
{
	constexpr Bounds bounds = {2, 2};
	expect_none_fails<Aging>(bounds, Aging::Beside::pass, Aging::Without::nothing);
	expect_found<Aging>(bounds, Aging::Beside::pass, Aging::Without::note_of_passes);
	expect_none_fails<Aging>(bounds, Aging::Beside::owner, Aging::Without::nothing);
	expect_found<Aging>(bounds, Aging::Beside::owner, Aging::Without::note_of_owners);
}

}  // namespace
}  // namespace iovad::model
