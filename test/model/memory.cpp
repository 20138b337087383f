// SPDX-License-Identifier: BSD-3-Clause
#include "memory.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace iovad::model {

namespace {

constexpr size_t kCells = 1 << 16;  // a power of two
constexpr uint8_t kWrite = 1, kAtomic = 2;

}  // namespace

void Memory::reset()
{
	for (Word &word : words_)
		word.stores.clear();
	used_views_ = 0;
	for (unsigned thread = 0; thread < kThreads; ++thread) {
		now_[thread] = {{}, {}, -1};
		now_[thread].view.clock[thread] = 1;
	}
	fences_ = {};
	cells_.resize(kCells);
	++execution_;
	learned_ = false;
}

void Memory::forget()
{
	words_.clear();
	numbers_.clear();
	for (auto &near : looked_up_)
		near = {};
}

unsigned Memory::number_of(uintptr_t address)
{
	auto &near = looked_up_[address / 2 % std::size(looked_up_)];
	if (near.address == address)
		return near.number;
	const auto [at, fresh] = numbers_.try_emplace(address, static_cast<unsigned>(words_.size()));
	if (fresh) {
		if (words_.size() == kWords)
			std::abort();
		words_.push_back({address, 0, {}, 0, false, 0, 0, false});
	}
	near = {address, at->second};
	return at->second;
}

unsigned Memory::word_at(uintptr_t address, unsigned bytes, uint64_t value)
{
	const unsigned number = number_of(address);
	Word &word = words_[number];
	if (word.stores.empty()) {
		word.stores.push_back({value, -1});
		word.floor = 0;
		cell_at(address & ~uintptr_t{7}).has_words = true;
	} else if (word.reread) {
		word.stores.push_back({value, -1});
		word.floor = newest(number);
	}
	word.bytes = bytes;
	word.reread = false;
	return number;
}

void Memory::use(unsigned thread, unsigned number, bool writes)
{
	Word &word = words_[number];
	word.users |= static_cast<uint8_t>(1 << thread);
	word.writers |= static_cast<uint8_t>(writes << thread);
	if (!word.contended && word.writers != 0 && !std::has_single_bit(word.users))
		word.contended = learned_ = true;
}

unsigned Memory::oldest(unsigned thread, unsigned word) const
{
	return std::max<unsigned>(words_[word].floor, now_[thread].view.oldest[word]);
}

void Memory::join_words(View &to, const View &from) const
{
	for (size_t i = 0; i < words_.size(); ++i)
		to.oldest[i] = std::max(to.oldest[i], from.oldest[i]);
}

void Memory::join(View &to, const View &from) const
{
	join_words(to, from);
	for (unsigned i = 0; i < kThreads; ++i)
		to.clock[i] = std::max(to.clock[i], from.clock[i]);
}

int Memory::keep(const View &view)
{
	if (used_views_ == views_.size())
		views_.emplace_back();
	views_[used_views_] = view;
	return static_cast<int>(used_views_++);
}

// What a store of this thread hands to those who acquire it.
int Memory::handed(unsigned thread, bool release)
{
	Knowledge &now = now_[thread];
	if (!release)
		return now.fenced;
	const int view = keep(now.view);
	// What comes later did not happen before.
	++now.view.clock[thread];
	return view;
}

void Memory::load(unsigned thread, unsigned word, unsigned store, bool acquire)
{
	Knowledge &now = now_[thread];
	now.view.oldest[word] = static_cast<uint16_t>(store);
	if (const int view = words_[word].stores[store].view; view >= 0)
		join(acquire ? now.view : now.late, views_[static_cast<size_t>(view)]);
}

void Memory::store(unsigned thread, unsigned word, uint64_t value, bool release)
{
	Word &w = words_[word];
	now_[thread].view.oldest[word] = static_cast<uint16_t>(w.stores.size());
	w.stores.push_back({value, handed(thread, release)});
}

// It goes on with what the store that it takes hands over (a release sequence).
void Memory::exchange(unsigned thread, unsigned word, uint64_t value, bool acquire, bool release)
{
	const unsigned taken = newest(word);
	load(thread, word, taken, acquire);
	const int before = words_[word].stores[taken].view;
	store(thread, word, value, release);
	Store &made = words_[word].stores.back();
	if (before >= 0 && made.view >= 0) {
		made.view = keep(View(views_[static_cast<size_t>(made.view)]));
		join(views_[static_cast<size_t>(made.view)], views_[static_cast<size_t>(before)]);
	} else if (before >= 0) {
		made.view = before;
	}
}

// Fences say which stores may still be read; that what was done before one happened before what
// is done after another takes a load that reads a store.
void Memory::fence(unsigned thread)
{
	Knowledge &now = now_[thread];
	join(now.view, now.late);
	join_words(fences_, now.view);
	join_words(now.view, fences_);
	now.fenced = keep(now.view);
	++now.view.clock[thread];
}

void Memory::release(unsigned thread, View &to)
{
	to = now_[thread].view;
	++now_[thread].view.clock[thread];
}

Memory::Cell &Memory::cell_at(uintptr_t address)
{
	for (size_t i = address * 0x9e3779b97f4a7c15 >> 48;; i = (i + 1) % kCells) {
		Cell &cell = cells_[i];
		if (cell.execution != execution_) {
			cell.address = address;
			cell.execution = execution_;
			cell.has_words = false;
			cell.accesses.clear();
		}
		if (cell.address == address)
			return cell;
	}
}

bool Memory::access_cell(unsigned thread, uintptr_t address, uint8_t bytes, uint8_t kind)
{
	const View &view = now_[thread].view;
	bool noted = false;
	for (Access &a : cell_at(address).accesses) {
		if (a.thread == thread) {
			if (a.bytes == bytes && a.kind == kind) {
				a.clock = view.clock[thread];
				noted = true;
			}
			continue;
		}
		const bool conflicts = ((a.kind | kind) & kWrite) != 0 && (a.kind & kind & kAtomic) == 0;
		if (conflicts && (a.bytes & bytes) != 0 && a.clock > view.clock[a.thread])
			return false;
	}
	if (!noted)
		cell_at(address).accesses.push_back({view.clock[thread], static_cast<uint8_t>(thread), bytes, kind});
	return true;
}

bool Memory::access(unsigned thread, uintptr_t address, unsigned bytes, bool write, bool atomic)
{
	const auto kind = static_cast<uint8_t>((write ? kWrite : 0) | (atomic ? kAtomic : 0));
	const uintptr_t end = address + bytes;
	for (uintptr_t cell = address & ~uintptr_t{7}; cell < end; cell += 8) {
		const unsigned from = cell < address ? static_cast<unsigned>(address - cell) : 0;
		const unsigned to = cell + 8 > end ? static_cast<unsigned>(end - cell) : 8;
		const auto mask = static_cast<uint8_t>((0xff >> (8 - to)) & (0xff << from));
		if (!access_cell(thread, cell, mask, kind))
			return false;
	}
	return true;
}

void Memory::overwritten(uintptr_t address, unsigned bytes)
{
	for (uintptr_t cell = address & ~uintptr_t{7}; cell < address + bytes; cell += 8) {
		if (!cell_at(cell).has_words)
			continue;
		for (uintptr_t at = cell; at < cell + 8; ++at) {
			const auto found = numbers_.find(at);
			if (found == numbers_.end())
				continue;
			// Not what lies beside it.
			Word &word = words_[found->second];
			word.reread |= at < address + bytes && address < at + word.bytes;
		}
	}
}

}  // namespace iovad::model
