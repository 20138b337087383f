// SPDX-License-Identifier: BSD-3-Clause
// What code under test does, as a step of its thread.
#include <algorithm>
#include <string>

#include "machine.h"
#include "thread.h"

namespace iovad::model {

namespace {

uint64_t peek(const void *address, unsigned bytes)
{
	uint64_t value = 0;
	__builtin_memcpy(&value, address, bytes);
	return value;
}

bool acquires(Order order) { return order == Order::acquire || order == Order::both || order == Order::full; }
bool releases(Order order) { return order == Order::release || order == Order::both || order == Order::full; }

}  // namespace

unsigned Machine::word_at(const void *address, unsigned bytes, bool write)
{
	const auto at = reinterpret_cast<uintptr_t>(address);
	const unsigned word = memory_.word_at(at, bytes, peek(address, bytes));
	memory_.use(current_, word, write);
	may_stop(word);
	if (!memory_.access(current_, at, bytes, write, true)) {
		say("races", address, 0);
		fail("a plain and an atomic access race");
	}
	return memory_.word_at(at, bytes, peek(address, bytes));
}

void Machine::call(const void *from)
{
	const Inside inside;
	std::vector<uint64_t> &frames = threads_[current_].frames;
	frames.push_back(frames.back() * 31 + reinterpret_cast<uintptr_t>(from));
}

void Machine::returned() { threads_[current_].frames.pop_back(); }

uint64_t Machine::take(unsigned word, Order order, const void *at)
{
	Thread &thread = threads_[current_];
	const uint64_t from = thread.frames.back() * 31 + reinterpret_cast<uintptr_t>(at);
	const bool again = thread.word == word && thread.from == from;
	if (!again)
		thread.impatient = false;
	while (again && !thread.impatient && memory_.newest(word) == thread.store) {
		thread.state = Thread::State::reading;
		leave();
	}
	unsigned oldest = memory_.oldest(current_, word);
	const unsigned newest = memory_.newest(word);
	if (again && !thread.impatient)
		oldest = std::max(oldest, thread.store + 1);
	unsigned older = 0;
	if (late_loads_ < bounds_.late_loads) {
		older = choose(newest - oldest + 1);
		late_loads_ += older != 0;
	}
	memory_.load(current_, word, newest - older, acquires(order));
	thread.word = word;
	thread.store = newest - older;
	thread.from = from;
	return memory_.value(word, newest - older);
}

uint64_t Machine::load(const void *address, unsigned bytes, Order order, const void *from)
{
	const Inside inside;
	if (order == Order::full)
		memory_.fence(current_);
	const unsigned word = word_at(address, bytes, false);
	if (planted(Defect::Kind::relaxed_loads, address))
		order = Order::relaxed;
	const uint64_t value = take(word, order, from);
	say("load ", address, value, memory_.newest(word) - threads_[current_].store);
	const Defect *blind = planted(Defect::Kind::blind, address);
	return blind && blind->n == current_ ? blind->value : value;
}

void Machine::put(void *address, unsigned bytes, unsigned word, uint64_t value, Order order)
{
	threads_[current_].word = ~0u;
	if (planted(Defect::Kind::relaxed_stores, address))
		order = Order::relaxed;
	memory_.store(current_, word, value, releases(order));
	touched(address, bytes);
	__builtin_memcpy(address, &value, bytes);
	++changes_;
	say("store", address, value);
}

void Machine::store(void *address, unsigned bytes, uint64_t value, Order order)
{
	const Inside inside;
	Thread &thread = threads_[current_];
	const unsigned word = word_at(address, bytes, true);
	if (const Defect *swapped = planted(Defect::Kind::swapped, address)) {
		thread.late_address = address;
		thread.late_until = swapped->other;
		thread.late_bytes = bytes;
		thread.late_word = word;
		thread.late_value = value;
		thread.late_order = order;
		return;
	}
	put(address, bytes, word, value, order);
	if (order == Order::full)
		memory_.fence(current_);
	if (thread.late_address && address == thread.late_until) {
		void *late = thread.late_address;
		thread.late_address = nullptr;
		may_stop(thread.late_word);
		put(late, thread.late_bytes, thread.late_word, thread.late_value, thread.late_order);
	}
}

uint64_t Machine::change_by(void *address, unsigned bytes, Order order,
			    uint64_t (*what)(uint64_t, const void *, bool &), const void *context)
{
	const Inside inside;
	if (order == Order::full)
		memory_.fence(current_);
	const unsigned word = word_at(address, bytes, true);
	if (planted(Defect::Kind::relaxed_stores, address) && releases(order))
		order = acquires(order) ? Order::acquire : Order::relaxed;
	if (planted(Defect::Kind::relaxed_loads, address) && acquires(order))
		order = releases(order) ? Order::release : Order::relaxed;
	threads_[current_].word = ~0u;
	threads_[current_].impatient = false;
	uint64_t before = memory_.value(word, memory_.newest(word));
	bool stores = true;
	uint64_t after = what(before, context, stores);
	if (planted(Defect::Kind::unlocked, address) && before == after)
		before = 0;
	const uint64_t mask = bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1;
	after &= mask;
	if (!stores || (after == before && !releases(order))) {
		// Who tries a lock that is taken changes nothing.
		memory_.load(current_, word, memory_.newest(word), acquires(order));
		say("tries", address, before);
		return before;
	}
	if (planted(Defect::Kind::split, address)) {
		take(word, order, nullptr);
		may_stop(word);
		put(address, bytes, word, after, order);
		return before;
	}
	memory_.exchange(current_, word, after, acquires(order), releases(order));
	touched(address, bytes);
	__builtin_memcpy(address, &after, bytes);
	++changes_;
	say("RMW  ", address, after);
	if (order == Order::full)
		memory_.fence(current_);
	return before;
}

void Machine::accessed(const void *address, size_t bytes, bool write)
{
	if (inside_)
		return;
	if (Machine &machine = get(); machine.current_ != kNone)
		machine.access(address, bytes, write);
	else if (write)
		machine.touched(address, bytes);
}

void Machine::access(const void *address, size_t bytes, bool write)
{
	const Thread &thread = threads_[current_];
	if (bytes == 0 || (address >= thread.stack && address < thread.stack + kStack))
		return;
	const Inside inside;
	const auto at = reinterpret_cast<uintptr_t>(address);
	if (!memory_.access(current_, at, static_cast<unsigned>(bytes), write, false)) {
		say(write ? "races, plain store" : "races, plain load", address, 0);
		fail(write ? "a plain store races" : "a plain load races");
	}
	if (write) {
		touched(address, bytes);
		memory_.overwritten(at, static_cast<unsigned>(bytes));
	}
}

void Machine::fence()
{
	const Inside inside;
	if (!planted(Defect::Kind::no_fence, nullptr))
		memory_.fence(current_);
	threads_[current_].word = ~0u;
	note("fence");
}

// Each thread passes a fence at some time during the call.
void Machine::barrier()
{
	const Inside inside;
	threads_[current_].word = ~0u;
	const Defect *none = planted(Defect::Kind::no_barrier, nullptr);
	if (none && none->n == barriers_++)
		return;
	memory_.fence(current_);
	for (unsigned i = 0; i < scenario_->threads(); ++i) {
		if (i == current_)
			continue;
		may_stop();
		memory_.fence(i);
	}
	memory_.fence(current_);
	note("barrier");
}

void Machine::yield()
{
	const Inside inside;
	step();
	Thread &thread = threads_[current_];
	if (thread.impatient)
		return;
	thread.yielded_at = changes_;
	thread.state = Thread::State::yielded;
	leave();
}

// ---- mutexes ----

Machine::Mutex &Machine::mutex_at(const void *address)
{
	for (Mutex &m : mutexes_) {
		if (m.address == address)
			return m;
	}
	mutexes_.push_back({address, kNone, {}});
	return mutexes_.back();
}

void Machine::may_stop_at_mutex(const void *address)
{
	const unsigned word = memory_.word_at(reinterpret_cast<uintptr_t>(address), 1, 0);
	memory_.use(current_, word, true);
	may_stop(word);
	threads_[current_].word = ~0u;
}

void Machine::lock(const void *address)
{
	const Inside inside;
	may_stop_at_mutex(address);
	while (mutex_at(address).owner != kNone) {
		threads_[current_].mutex = address;
		threads_[current_].state = Thread::State::locking;
		leave();
	}
	mutex_at(address).owner = current_;
	memory_.acquire(current_, mutex_at(address).view);
}

bool Machine::try_lock(const void *address)
{
	const Inside inside;
	may_stop_at_mutex(address);
	if (mutex_at(address).owner != kNone)
		return false;
	mutex_at(address).owner = current_;
	memory_.acquire(current_, mutex_at(address).view);
	return true;
}

void Machine::unlock(const void *address)
{
	const Inside inside;
	Mutex &mutex = mutex_at(address);
	mutex.owner = kNone;
	memory_.release(current_, mutex.view);
	++changes_;
	threads_[current_].word = ~0u;
}

}  // namespace iovad::model
