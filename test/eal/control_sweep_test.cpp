// SPDX-License-Identifier: BSD-3-Clause
// A lazy domain from its beginning to its end, with the control lcore, where the nth request for
// something fails, for every n, and also all that follow: errors are clear, and nothing is left.
// The linker leads the library's calls here (--wrap, see meson.build).
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

#include <pthread.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_memzone.h>
#include <rte_service_component.h>

#include "iovad/iovad_control.h"
#include "iovad/iovad_dma.h"
#include "test_domain.h"

namespace {

// What can run out. The nth from now and the times - 1 that follow fail.
struct Source {
	std::atomic<uint64_t> calls = 0, first = 0, end = 0;

	bool fails()
	{
		const uint64_t n = ++calls;
		return first <= n && n < end;
	}
	void fail(uint64_t nth, uint64_t times)
	{
		first = calls + nth;
		end = first + times;
	}
	void heal() { first = end = 0; }
};
Source memory, memzones, services, callbacks, threads, allocations;
thread_local bool allocations_count;  // on this thread, at the moment

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

namespace iovad::test {
namespace {

// What EAL knows of.
struct Left {
	unsigned zones = 0;
	size_t bytes = 0;
	unsigned pieces = 0;

	bool operator==(const Left &) const = default;
	friend std::ostream &operator<<(std::ostream &out, const Left &l)
	{
		return out << l.zones << " memzones, " << l.bytes << " bytes in " << l.pieces << " pieces";
	}
};

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

// Calls of the library: allocations of this thread count.
template <class Call> auto counted(Call call)
{
	allocations_count = true;
	const auto result = call();
	allocations_count = false;
	return result;
}

bool is_lack(int error) { return error == -ENOMEM || error == -EAGAIN || error == -ENOSPC; }

// Returns how many calls were refused.
class Life {
public:
	unsigned live()
	{
		iovad_domain_conf conf = conf_of_pages(512);
		const std::string name = unique_name();
		conf.name = name.c_str();
		conf.backend = IOVAD_BACKEND_SOFT;
		conf.unmap_policy = IOVAD_UNMAP_LAZY;
		conf.max_ranges = 1000;
		rte_errno = 0;
		iovad_domain *d = counted([&] { return iovad_domain_create(&conf); });
		if (!d) {
			EXPECT_TRUE(is_lack(-rte_errno)) << rte_errno;
			return 1;
		}
		const int started = counted([] { return iovad_control_thread_start(); });
		refuse(started);
		use(d);
		if (started == 0) {
			EXPECT_EQ(0, counted([] { return iovad_control_thread_stop(); }));
		}
		use(d);
		EXPECT_EQ(0, counted([&] { return iovad_flush(d); }));
		EXPECT_EQ(0, iovad_verify(d, stderr));
		EXPECT_EQ(0u, stats_of(d).live_ranges);
		EXPECT_EQ(0, counted([&] { return iovad_domain_destroy(d); }));
		return refused_;
	}

private:
	void refuse(int error)
	{
		EXPECT_TRUE(error == 0 || is_lack(error)) << error;
		refused_ += error != 0;
	}
	void use(iovad_domain *d)
	{
		alignas(4096) static char pages[64][kPage];
		rte_iova_t iova, region;
		for (unsigned i = 0; i < 200; ++i) {
			const int error = counted([&] { return iovad_map(d, pages[i % 60], kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &iova); });
			refuse(error);
			if (error == 0) {
				EXPECT_EQ(0, counted([&] { return i % 8 ? iovad_unmap(d, iova, kPage) : iovad_unmap_strict(d, iova, kPage); }));
			}
			if (i % 50 != 0)
				continue;
			const int added = counted([&] { return iovad_region_add(d, pages[60], 4 * kPage, kNoLimit, IOVAD_BIDIRECTIONAL, &region); });
			refuse(added);
			if (added == 0) {
				EXPECT_EQ(0, counted([&] { return iovad_region_remove(d, pages[60], 4 * kPage); }));
			}
		}
	}
	unsigned refused_ = 0;
};

void sweep(Source &source)
{
	ASSERT_EQ(0u, Life().live()) << "what is made once is made";
	const Left before = left();
	const uint64_t calls = source.calls;
	ASSERT_EQ(0u, Life().live());
	const uint64_t all = source.calls - calls;
	ASSERT_EQ(before, left());
	ASSERT_GT(all, 0u) << "nothing to break";
	for (uint64_t n = 1; n <= all; ++n) {
		for (const uint64_t times : {uint64_t{1}, uint64_t{1} << 30}) {
			SCOPED_TRACE(testing::Message() << "n = " << n << " of " << all << ", " << times << " times");
			source.fail(n, times);
			Life().live();
			source.heal();
			ASSERT_EQ(before, left());
			ASSERT_EQ(0u, Life().live()) << "it works again";
			ASSERT_EQ(before, left());
			if (testing::Test::HasFailure())
				return;
		}
	}
}

TEST(ControlSweep, EveryMemzone) { sweep(memzones); }
TEST(ControlSweep, EveryPieceOfMemory) { sweep(memory); }
TEST(ControlSweep, EveryLcoreCallback) { sweep(callbacks); }
TEST(ControlSweep, EveryThread) { sweep(threads); }
TEST(ControlSweep, EveryAllocation) { sweep(allocations); }

TEST(ControlSweep, TheServiceThatCannotBeRegisteredCanBeLater)
{
	uint32_t id = 12345, again = 0;
	services.fail(1, 1);
	EXPECT_EQ(-ENOMEM, iovad_control_service(&id));
	services.heal();
	EXPECT_EQ(0, iovad_control_service(&id));
	EXPECT_EQ(0, iovad_control_service(&again));
	EXPECT_EQ(id, again);
}

}  // namespace
}  // namespace iovad::test
