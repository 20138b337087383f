// SPDX-License-Identifier: BSD-3-Clause
// Runs threads that are no threads, in every order that there is within bounds: the code under test is compiled with
// -fsanitize=thread, whose calls at each access come here (hooks.cpp) instead of to the sanitizer. So it is the code
// of the library, as it stands, that runs.
//
// A scenario is built once; what it holds lies in an arena that is put back before each execution. In an execution
// threads take turns. What happens next is a choice only where it matters: which thread goes on, before an access to
// a word that threads share and change, and which of the stores in a word a load takes (memory.h). All choices are
// tried, depth first, by executing again from the start. Bounded are how often a thread is stopped that could go on,
// and how often a load takes another than the newest store.
//
// Waiting. A load in a loop that found nothing new waits for a store; a thread that yields waits until anything
// changes. When all wait, they are let go on: their patience may be bounded. If it is not, that is a failure.
//
// Plain accesses are no points where threads are stopped: they must not race (memory.h), and what does not race is
// the same whoever comes first. Words that only one thread uses, or nobody writes, are none either; which those are is
// learned, and all is begun again when one more is found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "memory.h"

namespace iovad::model {

class Scenario {
public:
	virtual ~Scenario() = default;
	virtual unsigned threads() const = 0;
	virtual void run(unsigned thread) = 0;
	virtual void end() {}  // all threads have
};

struct Bounds {
	unsigned preemptions, late_loads;
	uint64_t most = 2'000'000;  // executions; more are a failure
};

// Planted by a scenario: a part of the protocol that is missing.
struct Defect {
	enum class Kind {
		relaxed_stores,  // to the word; its RMWs too
		relaxed_loads,
		no_fence,        // full fences do nothing
		no_barrier,      // nor does the n-th membarrier(2)
		blind,           // loads of the word by thread n find `value`
		swapped,         // a store to the word comes after the next one to `other`
		split,           // RMWs of the word are a load and a store
		unlocked,        // who tries the lock, or any word's exchange for what is there, finds 0
	};
	Kind kind;
	const void *word = nullptr, *other = nullptr;
	uint64_t value = 0;
	unsigned n = 0;
};

struct Result {
	std::string failure;  // empty: none
	std::string steps;    // that led to it
	uint64_t executions;
	bool all;             // that there are
};

enum class Order { relaxed, acquire, release, both, full };

class Machine {
public:
	static Machine &get()
	{
		if (!machine_) [[unlikely]]
			machine_ = new Machine;
		return *machine_;
	}

	// Where a scenario is built: from here on `new` takes from the arena.
	void begin();
	Result explore(Scenario &scenario, const Bounds &bounds);
	void plant(const Defect &defect) { defects_[planted_++] = defect; }

	// Whether the caller is of a scenario; the machine does not look at itself. A thread of one, or who
	// builds or ends it.
	static bool outside() { return !inside_; }
	bool runs() const { return !inside_ && current_ != kNone; }
	// By plain loads and stores.
	static void accessed(const void *address, size_t bytes, bool write);
	void *allocate(size_t bytes, size_t align = 16);
	bool owns(const void *p) const;
	void fail(const char *what);
	void note(const std::string &what);

	// Of code under test.
	uint64_t load(const void *address, unsigned bytes, Order order, const void *from);
	void store(void *address, unsigned bytes, uint64_t value, Order order);
	template <class Change> uint64_t change(void *address, unsigned bytes, Order order, Change change);
	void call(const void *from);
	void returned();
	void fence();
	void barrier();
	void yield();
	void lock(const void *mutex);
	bool try_lock(const void *mutex);
	void unlock(const void *mutex);
	uint64_t now() { return ++now_; }

	// Keeps the machine from looking at itself.
	class Inside {
	public:
		Inside() : before_(inside_) { inside_ = true; }
		~Inside() { inside_ = before_; }
		Inside(const Inside &) = delete;
		Inside &operator=(const Inside &) = delete;

	private:
		const bool before_;
	};

private:
	static constexpr unsigned kNone = ~0u;
	static constexpr uint64_t kSteps = 100'000;

	struct Thread;
	struct Choice {
		uint16_t taken, of;
	};
	struct Mutex {
		const void *address;
		unsigned owner;
		View view;
	};

	Machine();
	~Machine() = delete;
	void execute(Scenario &scenario);
	void put_back();
	void touched(const void *address, size_t bytes);
	unsigned choose(unsigned n);
	bool can_run(unsigned thread) const;
	struct Some {
		unsigned n, thread[kThreads];
		void add(unsigned i) { thread[n++] = i; }
	};
	Some others() const;
	void switch_to(unsigned thread);
	void may_stop();
	void may_stop(unsigned word);
	void leave();
	void start(unsigned thread);
	static void enter();
	void step();
	void access(const void *address, size_t bytes, bool write);
	unsigned word_at(const void *address, unsigned bytes, bool write);
	uint64_t take(unsigned word, Order order, const void *from);
	void put(void *address, unsigned bytes, unsigned word, uint64_t value, Order order);
	Mutex &mutex_at(const void *address);
	void may_stop_at_mutex(const void *address);
	void say(const char *what, const void *address, uint64_t value, unsigned older = 0);
	const Defect *planted(Defect::Kind kind, const void *word) const;
	uint64_t change_by(void *address, unsigned bytes, Order order, uint64_t (*what)(uint64_t, const void *, bool &),
			   const void *context);

	std::byte *arena_, *copy_;
	size_t used_ = 0, built_ = 0;
	std::vector<bool> dirty_;
	std::vector<size_t> dirty_pages_;
	inline static Machine *machine_ = nullptr;
	inline static bool inside_ = true;  // before there is a machine

	Scenario *scenario_ = nullptr;
	Bounds bounds_ = {};
	static constexpr unsigned kDefects = 2;
	Defect defects_[kDefects];
	unsigned planted_ = 0;
	Memory memory_;
	std::vector<Thread> threads_;
	unsigned current_ = kNone;
	std::vector<Mutex> mutexes_;
	uint64_t changes_ = 0, steps_ = 0, now_ = 0, built_now_ = 0;
	unsigned preemptions_ = 0, late_loads_ = 0, barriers_ = 0;

	std::vector<Choice> path_;
	size_t depth_ = 0;
	std::string failure_, said_;
	bool saying_ = false;
};

template <class Change> uint64_t Machine::change(void *address, unsigned bytes, Order order, Change what)
{
	return change_by(address, bytes, order,
			 [](uint64_t value, const void *context, bool &stores) {
				 return (*static_cast<const Change *>(context))(value, stores);
			 },
			 &what);
}

// What a scenario says of what it finds.
void check(bool good, const char *what);

// S is built of the arguments.
template <class S, class... Arguments> Result explore(const Bounds &bounds, Arguments... arguments)
{
	Machine &machine = Machine::get();
	machine.begin();
	return machine.explore(*new S(arguments...), bounds);
}

}  // namespace iovad::model
