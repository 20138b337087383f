// SPDX-License-Identifier: BSD-3-Clause
// Memory as C++ has it: a word is the list of all that was ever stored in it, and a load may take any store that
// its thread has no reason to know overtaken. What a thread knows is a view: for each word the oldest store it may
// still read. A release attaches the view to what it stores, an acquire takes it over; a full fence exchanges views
// with all fences before it. That is more than store buffers do (what stays in one is a store that others do not
// know of), and allows what machines weaker than x86 do; but a store takes its place in the list when it is executed,
// and no load sees what is stored later.
//
// Plain accesses read and write the memory itself. They must not race: for each cell it is noted who accessed it,
// and when; an access beside one of another thread that did not happen before it is reported.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace iovad::model {

constexpr unsigned kThreads = 4, kWords = 512;

struct View {
	uint16_t oldest[kWords] = {};
	uint32_t clock[kThreads] = {};  // of each thread: what it did until then happened before
};

class Memory {
public:
	// Another execution. Words keep their numbers, and whether threads share them.
	void reset();
	void forget();

	// Its number. `value`: what the memory holds, where nothing was stored yet.
	unsigned word_at(uintptr_t address, unsigned bytes, uint64_t value);
	// Threads share it, and not only to read it. Noted as they come: see learned().
	bool contended(unsigned word) const { return words_[word].contended; }
	bool learned() const { return learned_; }
	void use(unsigned thread, unsigned word, bool writes);

	// Stores are numbered from 0 in each execution.
	unsigned newest(unsigned word) const { return static_cast<unsigned>(words_[word].stores.size()) - 1; }
	unsigned oldest(unsigned thread, unsigned word) const;
	uint64_t value(unsigned word, unsigned store) const { return words_[word].stores[store].value; }

	void load(unsigned thread, unsigned word, unsigned store, bool acquire);
	void store(unsigned thread, unsigned word, uint64_t value, bool release);
	// Takes the newest store, and puts one behind it.
	void exchange(unsigned thread, unsigned word, uint64_t value, bool acquire, bool release);
	void fence(unsigned thread);
	// By a mutex.
	void release(unsigned thread, View &to);
	void acquire(unsigned thread, const View &from) { join(now_[thread].view, from); }

	// False: it races with what another thread did.
	bool access(unsigned thread, uintptr_t address, unsigned bytes, bool write, bool atomic);
	// By a plain access: what it holds is read anew.
	void overwritten(uintptr_t address, unsigned bytes);

private:
	struct Store {
		uint64_t value;
		int view;  // what it hands over; -1: nothing
	};
	struct Word {
		uintptr_t address;
		unsigned bytes;
		std::vector<Store> stores;
		unsigned floor;  // older ones were overwritten by plain accesses
		bool reread;     // of the memory
		uint8_t users, writers;
		bool contended;
	};
	struct Knowledge {
		View view, late;  // late: of relaxed loads, until a fence
		int fenced;       // what relaxed stores hand over since one; -1: there was none
	};
	struct Access {
		uint32_t clock;
		uint8_t thread, bytes, kind;
	};
	struct Cell {
		uintptr_t address = 0;
		uint32_t execution = 0;
		bool has_words = false;
		std::vector<Access> accesses;
	};

	void join(View &to, const View &from) const;
	void join_words(View &to, const View &from) const;
	unsigned number_of(uintptr_t address);
	int keep(const View &view);
	int handed(unsigned thread, bool release);
	Cell &cell_at(uintptr_t address);
	bool access_cell(unsigned thread, uintptr_t cell, uint8_t bytes, uint8_t kind);

	std::vector<Word> words_;
	std::unordered_map<uintptr_t, unsigned> numbers_;
	struct {
		uintptr_t address;
		unsigned number;
	} looked_up_[1024] = {};
	std::vector<View> views_;
	size_t used_views_ = 0;
	Knowledge now_[kThreads];
	View fences_;
	std::vector<Cell> cells_;
	uint32_t execution_ = 0;
	bool learned_ = false;
};

}  // namespace iovad::model
