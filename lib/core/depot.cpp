// SPDX-License-Identifier: BSD-3-Clause
#include "core/depot.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace iovad::core {

namespace {

// Granules in a share that has, for every lcore, two of the largest magazines of each class.
constexpr uint64_t kPlenty = uint64_t{IOVAD_HOT_LCORES} * kClasses * 2 * Depot::kMostGranules;

}  // namespace

// Counts what it had to wait for; nothing more is done where it had not to.
class [[nodiscard]] Depot::ShelfGuard {
public:
	explicit ShelfGuard(Shelf &shelf) : shelf_(shelf)
	{
		if (!shelf_.lock.try_lock()) [[unlikely]] {
			shelf_.lock.lock();
			++shelf_.contended;
		}
	}
	~ShelfGuard() { shelf_.lock.unlock(); }
	ShelfGuard(const ShelfGuard &) = delete;
	ShelfGuard &operator=(const ShelfGuard &) = delete;

private:
	Shelf &shelf_;
};

Magazine *Depot::Stock::take()
{
	Magazine *m = list.pop();
	fewest = std::min(fewest, list.length);
	return m;
}

Magazine *Depot::Stock::take_surplus()
{
	// What lcores have needed since is none any more.
	surplus = std::min(surplus, fewest);
	if (surplus == 0)
		return nullptr;
	--surplus;
	return take();
}

void Depot::Stock::take_all(MagazineList &out)
{
	out.take_all(list);
	fewest = surplus = 0;
}

void Depot::Stock::end_period()
{
	surplus = fewest;
	fewest = list.length;
}

void Depot::init(Magazine *memory, uint32_t count, const Geometry &g, unsigned percent)
{
	first_ = memory;
	count_ = count;
	pool_ = {};
	for (uint32_t i = count; i-- > 0;)
		pool_.push(new (&memory[i]) Magazine{});
	granted_.store(0, std::memory_order_relaxed);
	const Pfn border = std::max(g.first, g.pfn(g.zone_border()));
	const uint64_t granules[kZones] = {border - g.first, g.end - border};
	for (unsigned zone = 0; zone < kZones; ++zone)
		charge_[zone] = {0, granules[zone] / 100 * percent + granules[zone] % 100 * percent / 100};
	for (unsigned i = 0; i < kBins; ++i) {
		const Bin bin = Bin::numbered(i);
		new (&shelf(bin)) Shelf{};
		// Not more than an eighth of the share in one magazine: four lcores' pairs fit.
		// One address is no cache.
		const uint64_t share = std::min<uint64_t>(kMostGranules, charge_[bin.zone()].most / 8);
		const uint64_t fits = std::min<uint64_t>(Magazine::kSlots, share >> bin.klass());
		const auto most = fits < 2 ? uint16_t{0} : static_cast<uint16_t>(fits);
		const bool plenty = charge_[bin.zone()].most >= kPlenty;
		capacity_[i] = {plenty ? most : first_capacity(most), most};
	}
}

// About half: a power of two, so that bulk calls of as many leave no rest in it.
uint16_t Depot::first_capacity(uint16_t most)
{
	return most < 4 ? most : static_cast<uint16_t>(std::bit_ceil(most / 2u));
}

unsigned Depot::exchange_empty(Bin bin, std::span<Magazine *> empty)
{
	Shelf &s = shelf(bin);
	ShelfGuard guard(s);
	unsigned done = 0;
	for (; done < empty.size(); ++done) {
		Magazine *full = s.full.take();
		if (!full)
			break;
		if (Magazine *m = std::exchange(empty[done], full))
			s.empty.list.push(m);
	}
	return done;
}

unsigned Depot::exchange_full(std::span<Magazine *> full)
{
	const Bin bin = full[0]->bin();
	Shelf &s = shelf(bin);
	unsigned done = 0;
	{
		ShelfGuard guard(s);
		if (s.full.list.length >= kMostFull)
			return 0;
		for (; done < full.size(); ++done) {
			Magazine *empty = s.empty.take();
			if (!empty)
				break;
			s.full.list.push(std::exchange(full[done], empty));
		}
	}
	for (Magazine *m : full.first(done))
		enlarge(*m);
	if (done != 0)
		return done;
	Magazine *empty = grant(bin);
	if (!empty)
		return 0;
	ShelfGuard guard(s);
	s.full.list.push(std::exchange(full[0], empty));
	return 1;
}

// With the pool's lock held.
bool Depot::charge_for(Bin bin, unsigned addresses)
{
	Charge &charge = charge_[bin.zone()];
	const uint64_t granules = addresses * bin.granules();
	if (charge.used + granules > charge.most)
		return false;
	charge.used += granules;
	return true;
}

Magazine *Depot::grant(Bin bin)
{
	if (capacity_[bin.index()].most == 0)
		return nullptr;
	LockGuard guard(pool_lock_);
	const uint16_t capacity = capacity_[bin.index()].now;
	if (!pool_.head || !charge_for(bin, capacity))
		return nullptr;
	Magazine *m = pool_.pop();
	granted_.store(granted() + 1, std::memory_order_release);
	m->capacity = capacity;
	m->set_bin(bin);
	m->set_count(0);
	return m;
}

// To the size that is granted now, if the budget allows it.
void Depot::enlarge(Magazine &empty)
{
	const Bin bin = empty.bin();
	const uint16_t &now = capacity_[bin.index()].now;
	if (empty.capacity >= load_relaxed(now)) [[likely]]
		return;
	LockGuard guard(pool_lock_);
	if (empty.capacity < now && charge_for(bin, now - empty.capacity))
		empty.capacity = now;
}

void Depot::put_back(Magazine *m)
{
	LockGuard guard(pool_lock_);
	charge_[m->bin().zone()].used -= most_granules(*m);
	granted_.store(granted() - 1, std::memory_order_release);
	pool_.push(m);
}

unsigned Depot::end_period()
{
	unsigned grown = 0;
	for (unsigned i = 0; i < kBins; ++i) {
		const Bin bin = Bin::numbered(i);
		Shelf &s = shelf(bin);
		uint64_t contended;
		{
			LockGuard guard(s.lock);
			s.full.end_period();
			s.empty.end_period();
			contended = s.contended - std::exchange(s.contended_before, s.contended);
		}
		if (contended >= kContended)
			grown += grow(bin);
	}
	return grown;
}

// Not where the budget is half used: what one lcore had more, others could not have.
bool Depot::grow(Bin bin)
{
	Capacity &c = capacity_[bin.index()];
	const Charge &charge = charge_[bin.zone()];
	LockGuard guard(pool_lock_);
	if (c.now == c.most || charge.used > charge.most / 2)
		return false;
	store_relaxed(c.now, static_cast<uint16_t>(std::min<unsigned>(c.most, c.now + (c.now + 1u) / 2)));
	return true;
}

void Depot::reset_capacities()
{
	LockGuard guard(pool_lock_);
	for (Capacity &c : capacity_)
		store_relaxed(c.now, first_capacity(c.most));
}

Magazine *Depot::take_surplus(Bin bin)
{
	Shelf &s = shelf(bin);
	LockGuard guard(s.lock);
	Magazine *m = s.full.take_surplus();
	return m ? m : s.empty.take_surplus();
}

void Depot::take_all(MagazineList &out)
{
	for (Shelf &s : shelves_) {
		LockGuard guard(s.lock);
		s.full.take_all(out);
		s.empty.take_all(out);
	}
}

void Depot::clear_shelves()
{
	for (Shelf &s : shelves_) {
		LockGuard guard(s.lock);
		s.full = s.empty = {};
		s.lock.set_sound();
	}
}

bool Depot::inherited() const
{
	return pool_lock_.inherited() ||
	       std::any_of(std::begin(shelves_), std::end(shelves_), [](const Shelf &s) { return s.lock.inherited(); });
}

Depot::Charge Depot::charge(unsigned zone)
{
	LockGuard guard(pool_lock_);
	return charge_[zone];
}

Depot::View Depot::view(Bin bin)
{
	Shelf &s = shelf(bin);
	LockGuard guard(s.lock);
	return {s.full.list.length, s.empty.list.length, load_relaxed(capacity_[bin.index()].now), s.contended};
}

}  // namespace iovad::core
