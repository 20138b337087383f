// SPDX-License-Identifier: BSD-3-Clause
#include "failing_calls.h"

#include <cstdlib>
#include <new>

#include <pthread.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_memzone.h>
#include <rte_service_component.h>

namespace iovad::test {

Source memory, memzones, services, callbacks, threads, allocations;
thread_local bool allocations_count;

Left left()
{
	Left out;
	rte_memzone_walk([](const rte_memzone *, void *n) { ++*static_cast<unsigned *>(n); }, &out.zones);
	rte_malloc_socket_stats stats = {};
	EXPECT_EQ(0, rte_malloc_get_socket_stats(static_cast<int>(rte_socket_id()), &stats));
	out.bytes = stats.heap_allocsz_bytes;
	out.pieces = stats.alloc_count;
	return out;
}

}  // namespace iovad::test

using namespace iovad::test;

namespace {

void *allocate(std::size_t n, std::size_t alignment)
{
	const bool fails = allocations_count && allocations.fails();
	void *p = fails ? nullptr : alignment == 0 ? std::malloc(n) : std::aligned_alloc(alignment, (n + alignment - 1) & ~(alignment - 1));
	if (!p)
		throw std::bad_alloc();
	return p;
}
void *allocate_nothrow(std::size_t n, std::size_t alignment) noexcept
try {
	return allocate(n, alignment);
} catch (const std::bad_alloc &) {
	return nullptr;
}

}  // namespace

[[gnu::noinline]] void *operator new(std::size_t n) { return allocate(n, 0); }
[[gnu::noinline]] void *operator new(std::size_t n, const std::nothrow_t &) noexcept { return allocate_nothrow(n, 0); }
[[gnu::noinline]] void *operator new(std::size_t n, std::align_val_t a) { return allocate(n, static_cast<std::size_t>(a)); }
[[gnu::noinline]] void *operator new(std::size_t n, std::align_val_t a, const std::nothrow_t &) noexcept
{
	return allocate_nothrow(n, static_cast<std::size_t>(a));
}
[[gnu::noinline]] void operator delete(void *p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void *p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void *p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void *p, std::size_t, std::align_val_t) noexcept { std::free(p); }

extern "C" {

decltype(rte_zmalloc_socket) __real_rte_zmalloc_socket, __wrap_rte_zmalloc_socket;
decltype(rte_memzone_reserve_aligned) __real_rte_memzone_reserve_aligned, __wrap_rte_memzone_reserve_aligned;
decltype(rte_service_component_register) __real_rte_service_component_register, __wrap_rte_service_component_register;
decltype(rte_lcore_callback_register) __real_rte_lcore_callback_register, __wrap_rte_lcore_callback_register;
decltype(pthread_create) __real_pthread_create, __wrap_pthread_create;

void *__wrap_rte_zmalloc_socket(const char *type, size_t size, unsigned align, int socket)
{
	return memory.fails() ? nullptr : __real_rte_zmalloc_socket(type, size, align, socket);
}
const rte_memzone *__wrap_rte_memzone_reserve_aligned(const char *name, size_t len, int socket, unsigned flags, unsigned align)
{
	if (!memzones.fails())
		return __real_rte_memzone_reserve_aligned(name, len, socket, flags, align);
	rte_errno = ENOMEM;
	return nullptr;
}
int32_t __wrap_rte_service_component_register(const rte_service_spec *spec, uint32_t *id)
{
	return services.fails() ? -ENOMEM : __real_rte_service_component_register(spec, id);
}
void *__wrap_rte_lcore_callback_register(const char *name, rte_lcore_init_cb init, rte_lcore_uninit_cb uninit, void *arg)
{
	return callbacks.fails() ? nullptr : __real_rte_lcore_callback_register(name, init, uninit, arg);
}
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*enter)(void *), void *arg) noexcept
{
	return threads.fails() ? EAGAIN : __real_pthread_create(thread, attributes, enter, arg);
}

}  // extern "C"
