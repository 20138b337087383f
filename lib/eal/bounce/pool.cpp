// SPDX-License-Identifier: BSD-3-Clause
#include "eal/bounce/pool.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <new>
#include <utility>

#include <unistd.h>

#include <rte_errno.h>
#include <rte_lcore.h>

#include "core/asymmetric_fence.h"
#include "eal/bounce/conf.h"
#include "eal/bounce/registry.h"
#include "eal/control/control.h"
#include "eal/domain/conf.h"
#include "eal/domain/mapping.h"
#include "eal/log/log.h"
#include "eal/status_errno.h"

using iovad::core::BounceConfig;
using iovad::core::BounceState;
using iovad::core::ChunkState;
using iovad::core::Status;
using iovad::eal::BounceChunks;
using iovad::eal::DomainMemory;

iovad_bounce_pool::iovad_bounce_pool(const iovad_bounce_conf &conf, BounceState *pool_state,
				     std::unique_ptr<DomainMemory> &memory, uint64_t initial_chunks, uint32_t pid)
	: slots(pool_state, pid), name(conf.name), domain(*conf.domain), state(*pool_state), flags(conf.flags),
	  metadata(std::move(memory)),
	  chunks(domain, slots, *metadata, name.c_str(), conf.socket_id, {conf.prepare, conf.release, conf.opaque}),
	  upkeep(name.c_str(), slots, chunks, initial_chunks, (flags & IOVAD_BOUNCE_F_TRANSIENT) != 0)
{
}

namespace iovad::eal {

namespace {

constexpr unsigned kLaterLcores = 16;  // threads that register
constexpr unsigned kCachePercent = 12, kMappingsShown = 8;

iovad_bounce_pool *fail(int error)
{
	rte_errno = error;
	return nullptr;
}

// An lcore that goes away gives back what its cache held.
int lcore_comes(unsigned, void *) { return 0; }
void lcore_goes(unsigned lcore, void *pool) { static_cast<iovad_bounce_pool *>(pool)->slots.release_lcore(lcore); }

// Addresses in a row, which are the pool's until its end. Also what was unmapped lazily may be what
// is missing.
class Window {
public:
	Window(iovad_domain &domain, uint64_t bytes) : domain_(domain), bytes_(bytes) {}
	~Window()
	{
		if (base_ != 0)
			domain_.core.free_range(base_, bytes_);
	}
	Window(const Window &) = delete;
	Window &operator=(const Window &) = delete;

	Status take(uint64_t limit)
	{
		const uint64_t before = domain_.mapper->given_back();
		Status status = domain_.core.alloc_range(bytes_, kBounceChunk, limit, base_);
		if (status == Status::no_space && domain_.mapper->make_room(rte_lcore_id(), before))
			status = domain_.core.alloc_range(bytes_, kBounceChunk, limit, base_);
		if (status != Status::ok)
			base_ = 0;
		return status;
	}
	uint64_t base() const { return base_; }
	void keep() { base_ = 0; }

private:
	iovad_domain &domain_;
	const uint64_t bytes_;
	uint64_t base_ = 0;
};

int take_window(const iovad_bounce_conf &conf, uint64_t bytes, Window &window)
{
	if (const int error = refresh(*conf.domain))
		return -error;
	const Status status = window.take(conf.limit);
	if (status == Status::ok)
		return 0;
	const bool full = status == Status::no_space || status == Status::invalid;
	IOVAD_LOG(ERR, "bounce pool %s: domain %s has no %" PRIu64 " MiB of addresses in a row up to 0x%" PRIx64 "%s", conf.name,
		  conf.domain->shared->name, bytes >> 20, conf.limit, full ? "" : " for lack of tree nodes");
	return full ? ENOSPC : -negative_errno(status);
}

// In debug mode all is looked at, and nothing cached.
BounceConfig config_of(const BounceSize &size, uint64_t base, bool debug)
{
	const unsigned lcores = rte_lcore_count();
	BounceConfig config = {};
	config.base = base;
	config.bytes = size.most * kBounceChunk;
	config.caches = std::min<unsigned>(RTE_MAX_LCORE, lcores + kLaterLcores);
	config.magazines = magazines_for(lcores);
	config.cache_percent = kCachePercent;
	config.cached = !debug && core::asymmetric_fence::enable();
	return config;
}

// Null with rte_errno. It has no chunk yet.
iovad_bounce_pool *make_pool(const iovad_bounce_conf &conf, const BounceConfig &config, uint64_t initial_chunks)
try {
	auto memory = std::make_unique<DomainMemory>(conf.socket_id);
	const size_t bytes = BounceState::bytes(config);
	void *const state = memory->take(bytes, 64);
	if (!state) {
		IOVAD_LOG(ERR, "bounce pool %s: EAL has no %zu KiB on socket %d for its state", conf.name, bytes >> 10,
			  conf.socket_id);
		return fail(ENOMEM);
	}
	return new iovad_bounce_pool(conf, BounceState::format(state, config), memory, initial_chunks,
				     static_cast<uint32_t>(getpid()));
} catch (const std::bad_alloc &) {
	return fail(ENOMEM);
}

void unregister(iovad_bounce_pool &pool)
{
	if (pool.lcore_callback)
		rte_lcore_callback_unregister(std::exchange(pool.lcore_callback, nullptr));
}

// What cannot be unmapped keeps the pool, departed. 0, or EIO.
int end_pool(iovad_bounce_pool *pool, BouncePoolRegistry &registry)
{
	unregister(*pool);
	if (end_pool_now(pool))
		return 0;
	IOVAD_LOG(ERR, "bounce pool %s: devices may still reach some of its memory, which stays reserved until it can be "
		  "unmapped", pool->name.c_str());
	pool->departed = true;
	registry.put(pool);
	return EIO;
}

int start_pool(iovad_bounce_pool &pool, uint64_t chunks)
{
	pool.lcore_callback = rte_lcore_callback_register(pool.name.c_str(), lcore_comes, lcore_goes, &pool);
	if (!pool.lcore_callback) {
		IOVAD_LOG(ERR, "bounce pool %s: no memory for the callback of lcores", pool.name.c_str());
		return ENOMEM;
	}
	unsigned index = pool.chunks.count();
	for (uint64_t left = chunks; left != 0; --left) {
		const BounceChunks::Refusal refusal = pool.chunks.bring(--index, ChunkState::serving, left);
		if (refusal.error == 0)
			continue;
		IOVAD_LOG(ERR, "bounce pool %s: cannot have %" PRIu64 " MiB (%s): %s", pool.name.c_str(), chunks * kBounceChunk >> 20,
			  rte_strerror(refusal.error), refusal.why);
		return refusal.error;
	}
	return 0;
}

void log_busy(iovad_bounce_pool &pool)
{
	const uint64_t used = pool.slots.stats().used_bytes;
	if (used == 0)
		IOVAD_LOG(ERR, "bounce pool %s: not destroyed, a thread is using it; try again", pool.name.c_str());
	else
		IOVAD_LOG(ERR, "bounce pool %s: not destroyed, %" PRIu64 " bytes of slots are mapped", pool.name.c_str(), used);
	unsigned shown = 0;
	pool.slots.for_each_mapping([&](uint64_t iova, uint64_t len, uint32_t, const void *va) {
		if (shown++ >= kMappingsShown)
			return;
		IOVAD_LOG(ERR, "bounce pool %s:   0x%" PRIx64 ", %" PRIu64 " bytes, of %p", pool.name.c_str(), iova, len, va);
		if (pool.domain.checker)
			pool.domain.checker->leaked(iova, len);
	});
	if (shown > kMappingsShown && pool.domain.checker)
		pool.domain.checker->findings().count(debug::Finding::leak, shown - kMappingsShown);
}

}  // namespace

iovad_bounce_pool *create_bounce_pool(const iovad_bounce_conf &conf)
{
	BounceSize size;
	if (const int error = check_bounce_conf(conf, size))
		return fail(error);
	BouncePoolRegistry registry;
	if (registry.find(conf.name)) {
		IOVAD_LOG(ERR, "bounce pool %s: one of this name exists", conf.name);
		return fail(EEXIST);
	}
	Window window(*conf.domain, size.most * kBounceChunk);
	if (const int error = take_window(conf, size.most * kBounceChunk, window))
		return fail(error);
	iovad_bounce_pool *pool = make_pool(conf, config_of(size, window.base(), conf.domain->checker != nullptr), size.initial);
	if (!pool)
		return nullptr;
	window.keep();
	pool->slots.set_watch(conf.domain->checker.get());
	if (const int error = start_pool(*pool, size.initial)) {
		end_pool(pool, registry);
		return fail(error);
	}
	registry.put(pool);
	control_hurry();
	IOVAD_LOG(INFO, "bounce pool %s: %" PRIu64 " MiB of %" PRIu64 " at 0x%" PRIx64 " in domain %s", pool->name.c_str(),
		  size.initial * kBounceChunk >> 20, size.most * kBounceChunk >> 20, pool->state.config.base,
		  pool->domain.shared->name);
	return pool;
}

int destroy_bounce_pool(iovad_bounce_pool *pool)
{
	BouncePoolRegistry registry;
	if (!pool->ports.empty()) {
		IOVAD_LOG(ERR, "bounce pool %s: not destroyed, port %u uses it", pool->name.c_str(), pool->ports.front());
		return -EBUSY;
	}
	registry.take_out(pool);
	if (pool->slots.stats().used_bytes != 0 || !pool->chunks.remove_all()) {
		log_busy(*pool);
		registry.put(pool);
		return -EBUSY;
	}
	return -end_pool(pool, registry);
}

int hold_bounce_pool(iovad_bounce_pool &pool, uint16_t port)
try {
	BouncePoolRegistry registry;
	pool.ports.push_back(port);
	return 0;
} catch (const std::bad_alloc &) {
	return -ENOMEM;
}

void release_bounce_pool(iovad_bounce_pool &pool, uint16_t port)
{
	BouncePoolRegistry registry;
	const auto held = std::find(pool.ports.begin(), pool.ports.end(), port);
	if (held != pool.ports.end())
		pool.ports.erase(held);
}

iovad_bounce_stats read_bounce_stats(const iovad_bounce_pool &pool)
{
	const core::BounceStats s = pool.slots.stats();
	iovad_bounce_stats out = {};
	out.size_bytes = s.size_bytes;
	out.used_bytes = s.used_bytes;
	out.hiwater_bytes = s.hiwater_bytes;
	out.transient_bytes = s.transient_bytes;
	out.maps = s.maps;
	out.misses = s.misses;
	out.copied_in_bytes = s.copied_in_bytes;
	out.copied_out_bytes = s.copied_out_bytes;
	out.grows = pool.upkeep.grows();
	out.shrinks = pool.upkeep.shrinks();
	return out;
}

}  // namespace iovad::eal
