// SPDX-License-Identifier: BSD-3-Clause
#include "core/depot.h"

#include <algorithm>

namespace iovad::core {

void Depot::init(Magazine *memory, uint32_t count, const Geometry &g, unsigned percent)
{
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
		capacity_[bin.index()] = fits < 2 ? 0 : static_cast<uint16_t>(fits);
	}
}

void Depot::count_exchange(Shelf &s)
{
	s.fewest = std::min(s.fewest, s.full.length);
	if (++s.exchanges < kPeriod)
		return;
	s.exchanges = 0;
	s.surplus.store(s.fewest, std::memory_order_relaxed);
	s.fewest = s.full.length;
}

Magazine *Depot::exchange_empty(Bin bin, Magazine *empty)
{
	Shelf &s = shelf(bin);
	LockGuard guard(s.lock);
	Magazine *full = s.full.pop();
	if (full && empty)
		s.empty.push(empty);
	count_exchange(s);
	return full;
}

Magazine *Depot::exchange_full(Magazine *full)
{
	const Bin bin = full->bin();
	Shelf &s = shelf(bin);
	Magazine *empty = nullptr;
	{
		LockGuard guard(s.lock);
		count_exchange(s);
		if (s.full.length >= kMostFull)
			return nullptr;
		empty = s.empty.pop();
		if (empty) {
			s.full.push(full);
			return empty;
		}
	}
	empty = grant(bin);
	if (empty) {
		LockGuard guard(s.lock);
		s.full.push(full);
	}
	return empty;
}

Magazine *Depot::take_surplus(Bin bin)
{
	Shelf &s = shelf(bin);
	if (s.surplus.load(std::memory_order_relaxed) == 0) [[likely]]
		return nullptr;
	LockGuard guard(s.lock);
	const uint32_t surplus = s.surplus.load(std::memory_order_relaxed);
	if (surplus == 0)
		return nullptr;
	s.surplus.store(surplus - 1, std::memory_order_relaxed);
	return s.full.pop();
}

Magazine *Depot::grant(Bin bin)
{
	const uint16_t capacity = capacity_[bin.index()];
	if (capacity == 0)
		return nullptr;
	const uint64_t granules = capacity * bin.granules();
	Charge &charge = charge_[bin.zone()];
	LockGuard guard(pool_lock_);
	if (charge.used + granules > charge.most)
		return nullptr;
	Magazine *m = pool_.pop();
	if (!m)
		return nullptr;
	charge.used += granules;
	granted_.store(granted() + 1, std::memory_order_release);
	m->capacity = capacity;
	m->set_bin(bin);
	m->set_count(0);
	return m;
}

void Depot::put_back(Magazine *m)
{
	LockGuard guard(pool_lock_);
	charge_[m->bin().zone()].used -= most_granules(*m);
	granted_.store(granted() - 1, std::memory_order_release);
	pool_.push(m);
}

void Depot::take_all(MagazineList &out)
{
	for (Shelf &s : shelves_) {
		LockGuard guard(s.lock);
		out.take_all(s.full);
		out.take_all(s.empty);
		s.fewest = 0;
		s.surplus.store(0, std::memory_order_relaxed);
	}
}

Depot::Charge Depot::charge(unsigned zone)
{
	LockGuard guard(pool_lock_);
	return charge_[zone];
}

}  // namespace iovad::core
