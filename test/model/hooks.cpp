// SPDX-License-Identifier: BSD-3-Clause
// What gcc and clang call for accesses in code that they compile with -fsanitize=thread.
#include "machine.h"

using iovad::model::Machine;
using iovad::model::Order;

namespace {

Order order_of(int order)
{
	switch (order) {
	case __ATOMIC_RELAXED: return Order::relaxed;
	case __ATOMIC_CONSUME:
	case __ATOMIC_ACQUIRE: return Order::acquire;
	case __ATOMIC_RELEASE: return Order::release;
	case __ATOMIC_ACQ_REL: return Order::both;
	default: return Order::full;
	}
}

template <class T> T load(const T *address, int order, const void *from)
{
	Machine &machine = Machine::get();
	if (!machine.runs())
		return *address;
	return static_cast<T>(machine.load(address, sizeof(T), order_of(order), from));
}

template <class T> void store(T *address, T value, int order)
{
	Machine &machine = Machine::get();
	if (machine.runs())
		return machine.store(address, sizeof(T), value, order_of(order));
	Machine::accessed(address, sizeof(T), true);
	*address = value;
}

// Returns what was there before. change: what it becomes, and whether it is stored.
template <class T, class Change> T change(T *address, int order, Change what)
{
	Machine &machine = Machine::get();
	const auto wide = [&](uint64_t was, bool &stores) -> uint64_t { return what(static_cast<T>(was), stores); };
	if (machine.runs())
		return static_cast<T>(machine.change(address, sizeof(T), order_of(order), wide));
	Machine::accessed(address, sizeof(T), true);
	const T before = *address;
	bool stores = true;
	const T after = what(before, stores);
	if (stores)
		*address = after;
	return before;
}

template <class T> int compare_exchange(T *address, T *expected, T desired, int order)
{
	const T wanted = *expected;
	const T before = change(address, order, [=](T was, bool &stores) {
		stores = was == wanted;
		return stores ? desired : was;
	});
	if (before != wanted)
		*expected = before;
	return before == wanted;
}

}  // namespace

#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void *from)
{
	if (Machine &machine = Machine::get(); machine.runs())
		machine.call(from);
}
void __tsan_func_exit()
{
	if (Machine &machine = Machine::get(); machine.runs())
		machine.returned();
}
void __tsan_vptr_read(void **at) { Machine::accessed(at, sizeof(*at), false); }
// By a constructor or a destructor, of what is the caller's alone.
void __tsan_vptr_update(void **at, void *) { Machine::accessed(at, sizeof(*at), true); }
void __tsan_read_range(void *at, size_t bytes) { Machine::accessed(at, bytes, false); }
void __tsan_write_range(void *at, size_t bytes) { Machine::accessed(at, bytes, true); }
void __tsan_atomic_thread_fence(int)
{
	// The library has full ones only.
	if (Machine &machine = Machine::get(); machine.runs())
		machine.fence();
}
void __tsan_atomic_signal_fence(int) {}

#define PLAIN(BYTES)                                                                        \
	void __tsan_read##BYTES(void *at) { Machine::accessed(at, BYTES, false); }                   \
	void __tsan_write##BYTES(void *at) { Machine::accessed(at, BYTES, true); }                   \
	void __tsan_unaligned_read##BYTES(void *at) { Machine::accessed(at, BYTES, false); }         \
	void __tsan_unaligned_write##BYTES(void *at) { Machine::accessed(at, BYTES, true); }         \
	void __tsan_read_write##BYTES(void *at) { Machine::accessed(at, BYTES, true); }              \
	void __tsan_unaligned_read_write##BYTES(void *at) { Machine::accessed(at, BYTES, true); }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

#define CHANGE(BITS, NAME, EXPRESSION)                                                                   \
	uint##BITS##_t __tsan_atomic##BITS##_##NAME(uint##BITS##_t *at, uint##BITS##_t value, int order) \
	{                                                                                                \
		return change(at, order, [=](uint##BITS##_t was, bool &) -> uint##BITS##_t {             \
			(void)was;                                                                       \
			return static_cast<uint##BITS##_t>(EXPRESSION);                                  \
		});                                                                                      \
	}
#define ATOMIC(BITS)                                                                                               \
	uint##BITS##_t __tsan_atomic##BITS##_load(const uint##BITS##_t *at, int order)                             \
	{                                                                                                          \
		return load(at, order, __builtin_return_address(0));                                               \
	}                                                                                                          \
	void __tsan_atomic##BITS##_store(uint##BITS##_t *at, uint##BITS##_t value, int order)                      \
	{                                                                                                          \
		store(at, value, order);                                                                           \
	}                                                                                                          \
	CHANGE(BITS, exchange, value)                                                                              \
	CHANGE(BITS, fetch_add, was + value)                                                                       \
	CHANGE(BITS, fetch_sub, was - value)                                                                       \
	CHANGE(BITS, fetch_and, was & value)                                                                       \
	CHANGE(BITS, fetch_or, was | value)                                                                        \
	CHANGE(BITS, fetch_xor, was ^ value)                                                                       \
	int __tsan_atomic##BITS##_compare_exchange_strong(uint##BITS##_t *at, uint##BITS##_t *expected,            \
							  uint##BITS##_t desired, int order, int)                  \
	{                                                                                                          \
		return compare_exchange(at, expected, desired, order);                                             \
	}                                                                                                          \
	int __tsan_atomic##BITS##_compare_exchange_weak(uint##BITS##_t *at, uint##BITS##_t *expected,              \
							uint##BITS##_t desired, int order, int)                    \
	{                                                                                                          \
		return compare_exchange(at, expected, desired, order);                                             \
	}                                                                                                          \
	uint##BITS##_t __tsan_atomic##BITS##_compare_exchange_val(uint##BITS##_t *at, uint##BITS##_t expected,     \
								  uint##BITS##_t desired, int order, int)          \
	{                                                                                                          \
		compare_exchange(at, &expected, desired, order);                                                   \
		return expected;                                                                                   \
	}
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

}  // extern "C"
