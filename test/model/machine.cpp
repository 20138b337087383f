// SPDX-License-Identifier: BSD-3-Clause
#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "thread.h"

namespace iovad::model {

namespace {

constexpr size_t kArena = size_t{64} << 20, kPage = 4096;

ucontext_t home;

std::byte *pages(size_t bytes)
{
	void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		std::abort();
	return static_cast<std::byte *>(p);
}

}  // namespace

Machine::Machine() : arena_(pages(kArena)), copy_(pages(kArena)), dirty_(kArena / kPage), threads_(kThreads)
{
	for (Thread &thread : threads_)
		thread.stack = pages(kStack);
}

// ---- memory of scenarios ----

void Machine::begin()
{
	memory_.forget();
	std::memset(arena_, 0, used_);
	planted_ = 0;
	used_ = 0;
	inside_ = false;
}

void *Machine::allocate(size_t bytes, size_t align)
{
	used_ = (used_ + align - 1) & ~(align - 1);
	void *p = arena_ + used_;
	used_ += bytes;
	if (used_ > kArena)
		std::abort();
	return p;
}

bool Machine::owns(const void *p) const { return p >= arena_ && p < arena_ + kArena; }

void Machine::touched(const void *address, size_t bytes)
{
	const Inside inside;
	if (!owns(address))
		return;
	const auto from = static_cast<size_t>(static_cast<const std::byte *>(address) - arena_);
	for (size_t page = from / kPage; page <= (from + bytes - 1) / kPage; ++page) {
		if (!dirty_[page]) {
			dirty_[page] = true;
			dirty_pages_.push_back(page);
		}
	}
}

void Machine::put_back()
{
	for (const size_t page : dirty_pages_) {
		std::memcpy(arena_ + page * kPage, copy_ + page * kPage, kPage);
		dirty_[page] = false;
	}
	dirty_pages_.clear();
	used_ = built_;
}

// ---- executions ----

Result Machine::explore(Scenario &scenario, const Bounds &bounds)
{
	inside_ = true;
	built_ = used_;
	built_now_ = now_;
	std::memcpy(copy_, arena_, used_);
	scenario_ = &scenario;
	bounds_ = bounds;
	path_.clear();
	saying_ = false;
	for (uint64_t executions = 1;; ++executions) {
		execute(scenario);
		if (!failure_.empty()) {
			// Once more, for what led to it.
			path_.resize(depth_);
			saying_ = true;
			execute(scenario);
			put_back();
			return {failure_, said_, executions, false};
		}
		if (memory_.learned()) {
			path_.clear();
			executions = 0;
			continue;
		}
		while (!path_.empty() && path_.back().taken + 1 == path_.back().of)
			path_.pop_back();
		if (path_.empty() || executions == bounds.most) {
			put_back();
			// Nothing was written behind our back.
			const bool same = std::memcmp(arena_, copy_, built_) == 0;
			return {same ? "" : "the scenario was not put back", "", executions, path_.empty()};
		}
		++path_.back().taken;
	}
}

void Machine::execute(Scenario &scenario)
{
	put_back();
	memory_.reset();
	mutexes_.clear();
	changes_ = steps_ = 0;
	now_ = built_now_;
	preemptions_ = late_loads_ = barriers_ = 0;
	depth_ = 0;
	failure_.clear();
	said_.clear();
	const unsigned n = scenario.threads();
	for (unsigned i = 0; i < kThreads; ++i) {
		threads_[i].state = i < n ? Thread::State::ready : Thread::State::ended;
		threads_[i].word = ~0u;
		threads_[i].impatient = false;
		threads_[i].late_address = nullptr;
		threads_[i].frames.assign(1, 0);
		if (i < n)
			start(i);
	}
	current_ = choose(n);
	swapcontext(&home, &threads_[current_].context);
	inside_ = true;
	current_ = kNone;
	if (failure_.empty()) {
		inside_ = false;
		scenario.end();
		inside_ = true;
	}
}

void Machine::start(unsigned i)
{
	Thread &thread = threads_[i];
	getcontext(&thread.context);
	thread.context.uc_stack = {thread.stack, 0, kStack};
	thread.context.uc_link = &home;
	makecontext(&thread.context, &Machine::enter, 0);
}

void Machine::enter()
{
	Machine &m = get();
	inside_ = false;
	m.scenario_->run(m.current_);
	inside_ = true;
	m.threads_[m.current_].state = Thread::State::ended;
	++m.changes_;
	m.leave();
}

void Machine::fail(const char *what)
{
	const Inside inside;
	failure_ = what;
	if (current_ != kNone)
		setcontext(&home);
}

void Machine::note(const std::string &what)
{
	if (saying_)
		said_ += "  " + std::to_string(current_) + "  " + what + '\n';
}

void Machine::say(const char *what, const void *address, uint64_t value, unsigned older)
{
	if (!saying_)
		return;
	char line[160];
	const size_t at = owns(address) ? static_cast<size_t>(static_cast<const std::byte *>(address) - arena_)
					: reinterpret_cast<size_t>(address);
	std::snprintf(line, sizeof(line), older != 0 ? "%s +0x%zx: 0x%lx, %u newer" : "%s +0x%zx: 0x%lx", what, at, value,
		      older);
	note(line);
}

const Defect *Machine::planted(Defect::Kind kind, const void *word) const
{
	for (unsigned i = 0; i < planted_; ++i) {
		if (defects_[i].kind == kind && defects_[i].word == word)
			return &defects_[i];
	}
	return nullptr;
}

// ---- choices ----

unsigned Machine::choose(unsigned n)
{
	if (n <= 1)
		return 0;
	if (depth_ == path_.size())
		path_.push_back({0, static_cast<uint16_t>(n)});
	return path_[depth_++].taken;
}

bool Machine::can_run(unsigned i) const
{
	const Thread &thread = threads_[i];
	switch (thread.state) {
	case Thread::State::ready: return true;
	case Thread::State::reading: return memory_.newest(thread.word) > thread.store;
	case Thread::State::yielded: return changes_ != thread.yielded_at;
	case Thread::State::locking:
		return std::none_of(mutexes_.begin(), mutexes_.end(),
				    [&](const Mutex &m) { return m.address == thread.mutex && m.owner != kNone; });
	case Thread::State::ended: break;
	}
	return false;
}

Machine::Some Machine::others() const
{
	Some all = {};
	for (unsigned i = 0; i < kThreads; ++i) {
		if (i != current_ && can_run(i))
			all.add(i);
	}
	return all;
}

void Machine::switch_to(unsigned next)
{
	ucontext_t &from = threads_[current_].context;
	current_ = next;
	threads_[next].state = Thread::State::ready;
	swapcontext(&from, &threads_[next].context);
	inside_ = true;
}

// Another thread may come first.
void Machine::may_stop()
{
	if (preemptions_ == bounds_.preemptions)
		return;
	const Some other = others();
	if (const unsigned pick = choose(other.n + 1); pick != 0) {
		++preemptions_;
		switch_to(other.thread[pick - 1]);
	}
}

void Machine::may_stop(unsigned word)
{
	step();
	if (memory_.contended(word))
		may_stop();
}

// The current thread cannot go on.
void Machine::leave()
{
	Some next = others();
	if (can_run(current_))
		next.add(current_);
	if (next.n == 0) {
		for (unsigned i = 0; i < kThreads; ++i) {
			if (threads_[i].state == Thread::State::reading || threads_[i].state == Thread::State::yielded)
				next.add(i);
		}
		for (unsigned i = 0; i < next.n; ++i)
			threads_[next.thread[i]].impatient = true;
	}
	if (next.n == 0) {
		const bool ended = std::all_of(threads_.begin(), threads_.end(),
					       [](const Thread &t) { return t.state == Thread::State::ended; });
		if (ended)
			setcontext(&home);
		fail("all wait for each other");
	}
	const unsigned pick = next.thread[choose(next.n)];
	if (pick != current_)
		switch_to(pick);
	threads_[current_].state = Thread::State::ready;
}

void Machine::step()
{

	if (++steps_ > kSteps)
		fail("it does not end");
}

void check(bool good, const char *what)
{
	if (!good)
		Machine::get().fail(what);
}

}  // namespace iovad::model
