// SPDX-License-Identifier: BSD-3-Clause
// What code under test asks of the system, and of the C library: by the linker (--wrap).
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <new>

#include "machine.h"

using iovad::model::Machine;

namespace {

void *allocate(size_t bytes, size_t align)
{
	void *p = Machine::outside() ? Machine::get().allocate(bytes, align)
				     : std::aligned_alloc(align, (bytes + align - 1) & ~(align - 1));
	if (!p)
		throw std::bad_alloc();
	return p;
}

// What is in the arena is given back with it.
void give_back(void *p)
{
	if (!Machine::get().owns(p))
		std::free(p);
}

}  // namespace

void *operator new(size_t bytes) { return allocate(bytes, 16); }
void *operator new[](size_t bytes) { return allocate(bytes, 16); }
void *operator new(size_t bytes, std::align_val_t align) { return allocate(bytes, static_cast<size_t>(align)); }
void operator delete(void *p) noexcept { give_back(p); }
void operator delete[](void *p) noexcept { give_back(p); }
void operator delete(void *p, size_t) noexcept { give_back(p); }
void operator delete[](void *p, size_t) noexcept { give_back(p); }
void operator delete(void *p, std::align_val_t) noexcept { give_back(p); }
void operator delete(void *p, size_t, std::align_val_t) noexcept { give_back(p); }

#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
int __real_sched_yield();
int __real_nanosleep(const timespec *time, timespec *left);
int __real_clock_gettime(clockid_t clock, timespec *time);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__real_memmove(void *to, const void *from, size_t bytes);
void *__real_memset(void *to, int value, size_t bytes);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	Machine &machine = Machine::get();
	if (number != SYS_membarrier)
		return __real_syscall(number, a, b, c, d, e, f);
	if (machine.runs())
		machine.barrier();
	return 0;
}

int __wrap_sched_yield()
{
	Machine &machine = Machine::get();
	if (!machine.runs())
		return __real_sched_yield();
	machine.yield();
	return 0;
}

int __wrap_nanosleep(const timespec *time, timespec *left)
{
	Machine &machine = Machine::get();
	if (!machine.runs())
		return __real_nanosleep(time, left);
	machine.yield();
	return 0;
}

// A nanosecond later each time.
int __wrap_clock_gettime(clockid_t clock, timespec *time)
{
	Machine &machine = Machine::get();
	if (!Machine::outside())
		return __real_clock_gettime(clock, time);
	*time = {0, static_cast<long>(machine.now())};
	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	Machine &machine = Machine::get();
	if (machine.runs())
		machine.lock(mutex);
	return Machine::outside() ? 0 : __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	Machine &machine = Machine::get();
	if (machine.runs())
		return machine.try_lock(mutex) ? 0 : EBUSY;
	return Machine::outside() ? 0 : __real_pthread_mutex_trylock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	Machine &machine = Machine::get();
	if (machine.runs())
		machine.unlock(mutex);
	return Machine::outside() ? 0 : __real_pthread_mutex_unlock(mutex);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	Machine::accessed(from, bytes, false);
	Machine::accessed(to, bytes, true);
	return __real_memcpy(to, from, bytes);
}

void *__wrap_memmove(void *to, const void *from, size_t bytes)
{
	Machine::accessed(from, bytes, false);
	Machine::accessed(to, bytes, true);
	return __real_memmove(to, from, bytes);
}

void *__wrap_memset(void *to, int value, size_t bytes)
{
	Machine::accessed(to, bytes, true);
	return __real_memset(to, value, bytes);
}

}  // extern "C"
