// SPDX-License-Identifier: BSD-3-Clause
#include "model_runner.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "../test_domain.h"

namespace iovad::test {

namespace {

constexpr uint64_t kLongestCached = 64;  // granules

template <class... Parts> std::string say(const Parts &...parts)
{
	std::ostringstream out;
	(out << ... << parts);
	return out.str();
}

uint64_t first_granule(const ModelSpace &s) { return std::max<uint64_t>(1, (s.first + s.granule - 1) / s.granule); }
uint64_t end_granule(const ModelSpace &s) { return (s.last - (s.granule - 1)) / s.granule + 1; }

}  // namespace

ModelRunner::ModelRunner(const ModelSpace &space)
	: space_(space), oracle_(first_granule(space), end_granule(space))
{
	iovad_domain_conf conf = conf_of(space.first, space.last, space.flags);
	const std::string name = unique_name();
	conf.name = name.c_str();
	conf.granule = space.granule;
	conf.cache_percent = space.cache_percent;
	conf.max_ranges = space.max_ranges;
	// The oracle knows the highest fit, not what comes back late.
	setenv("IOVAD_DEBUG", "quarantine=0", 1);
	domain_ = iovad_domain_create(&conf);
	unsetenv("IOVAD_DEBUG");
	if (!domain_)
		throw std::runtime_error("no domain for the model");
}

ModelRunner::~ModelRunner()
{
	give_all_back();
	iovad_domain_destroy(domain_);
}

iovad_domain_stats ModelRunner::stats() const { return stats_of(domain_); }

uint64_t ModelRunner::end_of_limit(uint64_t limit) const
{
	return limit == kNoLimit ? oracle_.first() + oracle_.granules() : (limit + 1) / space_.granule;
}

std::string ModelRunner::run(const Program &program)
{
	for (size_t n = 0; n < program.size(); ++n) {
		AsLcore as(program[n].lcore);
		std::string wrong = step(program[n]);
		if (wrong.empty())
			wrong = check_state(n % space_.verify_every == 0);
		if (!wrong.empty())
			return say("step ", n + 1, ": ", wrong);
	}
	return give_all_back();
}

std::string ModelRunner::step(const Instruction &i)
{
	switch (i.op) {
	case Op::alloc: return alloc(i, 1);
	case Op::alloc_bulk: return alloc(i, i.count);
	case Op::free: return free(i, 1);
	case Op::free_bulk: return free(i, i.count);
	case Op::alloc_range: return alloc_range(i);
	case Op::free_range: return free_range(i);
	case Op::reserve: return reserve(i);
	case Op::unreserve: return unreserve(i);
	case Op::find: return find(i);
	case Op::free_wrongly: return free_wrongly(i);
	}
	return "unknown instruction";
}

// n ranges were refused: rightly so?
std::string ModelRunner::refusal(Op op, int rc, const Instruction &i, uint64_t size, uint64_t align, unsigned n)
{
	++refused_[static_cast<unsigned>(op)];
	if (rc == -EAGAIN)
		return space_.few_nodes ? "" : "-EAGAIN with nodes enough";
	if (rc == -EINVAL && i.limit < bytes(oracle_.first()))
		return "";
	if (rc != -ENOSPC)
		return say("unexpected ", rc);
	Oracle left = oracle_;
	for (unsigned k = 0; k < n; ++k) {
		const auto start = left.highest(size, align, end_of_limit(i.limit));
		if (!start)
			return "";
		left.take(*start, *start + size);
	}
	return say("-ENOSPC, but ", n, " of ", size, " granules fit");
}

std::string ModelRunner::alloc(const Instruction &i, unsigned n)
{
	const uint64_t occupied = i.granules <= kLongestCached ? std::bit_ceil(i.granules) : i.granules;
	const uint64_t align = std::bit_ceil(i.granules);
	std::vector<rte_iova_t> iovas(n);
	const int rc = i.op == Op::alloc
			       ? iovad_alloc(domain_, bytes(i.granules), i.limit, iovas.data())
			       : iovad_alloc_bulk(domain_, bytes(i.granules), i.limit, iovas.data(), n);
	if (rc != 0)
		return refusal(i.op, rc, i, occupied, align, n);
	for (const rte_iova_t iova : iovas) {
		const uint64_t start = iova / space_.granule;
		if (iova % bytes(align) != 0)
			return say("misaligned ", start);
		if (!oracle_.holds(start, start + occupied) || start + occupied > end_of_limit(i.limit))
			return say("outside the domain or the limit: ", start);
		if (space_.highest() && oracle_.highest(occupied, align, end_of_limit(i.limit)) != start)
			return say("not the highest fit: ", start);
		if (oracle_.overlap(start, start + occupied))
			return say("owned twice: ", start);
		oracle_.take(start, start + occupied);
		blocks_.push_back({start, i.granules, occupied});
	}
	++succeeded_[static_cast<unsigned>(i.op)];
	return "";
}

std::string ModelRunner::alloc_range(const Instruction &i)
{
	rte_iova_t iova;
	const int rc = iovad_alloc_range(domain_, bytes(i.granules), bytes(i.align), i.limit, &iova);
	if (rc != 0)
		return refusal(i.op, rc, i, i.granules, i.align, 1);
	const uint64_t start = iova / space_.granule;
	const auto highest = oracle_.highest(i.granules, i.align, end_of_limit(i.limit));
	// What is cached is not free for it, so a cached domain may go lower.
	if (!highest || iova % bytes(i.align) != 0 || (space_.highest() ? start != *highest : start > *highest))
		return say("range at ", start, ", highest fit ", highest.value_or(0));
	if (oracle_.overlap(start, start + i.granules) || !oracle_.holds(start, start + i.granules))
		return say("owned twice: ", start);
	oracle_.take(start, start + i.granules);
	exact_.push_back({start, i.granules, i.granules});
	++succeeded_[static_cast<unsigned>(i.op)];
	return "";
}

// A bulk is of one length: all those held that have it, up to n.
std::string ModelRunner::free(const Instruction &i, unsigned n)
{
	if (blocks_.empty())
		return "";
	const size_t first = i.pick % blocks_.size();
	const uint64_t granules = blocks_[first].granules;
	std::vector<rte_iova_t> iovas;
	const auto take = [&](size_t at) {
		iovas.push_back(bytes(blocks_[at].start));
		oracle_.give_back(blocks_[at].start);
		blocks_[at] = blocks_.back();
		blocks_.pop_back();
	};
	take(first);
	for (size_t at = 0; at < blocks_.size() && iovas.size() < n;) {
		if (blocks_[at].granules == granules)
			take(at);
		else
			++at;
	}
	const int rc = i.op == Op::free ? iovad_free(domain_, iovas[0], bytes(granules))
					: iovad_free_bulk(domain_, iovas.data(), bytes(granules),
							  static_cast<unsigned>(iovas.size()));
	++succeeded_[static_cast<unsigned>(i.op)];
	return rc == 0 ? "" : say("free: ", rc);
}

std::string ModelRunner::free_range(const Instruction &i)
{
	if (exact_.empty())
		return "";
	std::swap(exact_[i.pick % exact_.size()], exact_.back());
	const Held held = exact_.back();
	exact_.pop_back();
	oracle_.give_back(held.start);
	const int rc = iovad_free_range(domain_, bytes(held.start), bytes(held.granules));
	++succeeded_[static_cast<unsigned>(i.op)];
	return rc == 0 ? "" : say("free_range: ", rc);
}

std::string ModelRunner::reserve(const Instruction &i)
{
	const uint64_t start = random_granule(i);
	const uint64_t end = std::min(start + i.granules, oracle_.first() + oracle_.granules());
	const int rc = iovad_reserve(domain_, bytes(start), bytes(end - start));
	if (rc == -EAGAIN && space_.few_nodes) {
		++refused_[static_cast<unsigned>(i.op)];
		return "";
	}
	const bool expected = oracle_.reserve(start, end);
	++(expected ? succeeded_ : refused_)[static_cast<unsigned>(i.op)];
	return rc == (expected ? 0 : -EEXIST) ? "" : say("reserve ", start, " to ", end, ": ", rc);
}

std::string ModelRunner::unreserve(const Instruction &i)
{
	// Mostly what is reserved somewhere.
	uint64_t start = random_granule(i);
	uint64_t end = std::min(start + i.granules, oracle_.first() + oracle_.granules());
	if (const Oracle::Range *r = oracle_.overlap(start, oracle_.first() + oracle_.granules()); r && r->reserved) {
		start = std::max(start, r->start);
		end = std::min(r->end, start + i.granules);
	}
	const int rc = iovad_unreserve(domain_, bytes(start), bytes(end - start));
	if (rc == -EAGAIN && space_.few_nodes) {
		++refused_[static_cast<unsigned>(i.op)];
		return "";
	}
	const bool expected = oracle_.unreserve(start, end);
	++(expected ? succeeded_ : refused_)[static_cast<unsigned>(i.op)];
	return rc == (expected ? 0 : -ENOENT) ? "" : say("unreserve ", start, " to ", end, ": ", rc);
}

std::string ModelRunner::find(const Instruction &i) const
{
	const uint64_t granule = random_granule(i);
	iovad_range range;
	const int rc = iovad_find(domain_, bytes(granule) + i.pick % space_.granule, &range);
	const Oracle::Range *expected = oracle_.overlap(granule, granule + 1);
	if (!expected) {
		// Only a cache can hold what nobody owns.
		const bool cached = rc == 0 && !space_.exact() && range.state == IOVAD_RANGE_LIVE &&
				    !oracle_.overlap(range.iova / space_.granule,
						     (range.iova + range.len) / space_.granule);
		return rc == -ENOENT || cached ? "" : say("found at ", granule, " what is not there");
	}
	const uint32_t state = expected->reserved ? IOVAD_RANGE_RESERVED : IOVAD_RANGE_LIVE;
	return rc == 0 && range.iova == bytes(expected->start) && range.len == bytes(expected->end - expected->start) &&
			       range.state == state
		       ? ""
		       : say("find ", granule, ": ", rc);
}

// Where frees are looked up. Of a live range, a wrong length; else what is not live.
std::string ModelRunner::free_wrongly(const Instruction &i)
{
	if (!space_.exact())
		return "";
	uint64_t start = random_granule(i);
	uint64_t granules = std::min(i.granules, oracle_.first() + oracle_.granules() - start);
	if (!exact_.empty() && i.pick % 2 == 0) {
		const Held &held = exact_[i.pick / 2 % exact_.size()];
		start = held.start;
		granules = held.granules == 1 ? 1 : held.granules - 1;
	}
	const Oracle::Range *r = oracle_.overlap(start, start + granules);
	if (r && !r->reserved && r->start == start && r->end == start + granules)
		return "";
	++refused_[static_cast<unsigned>(i.op)];
	const int rc = iovad_free_range(domain_, bytes(start), bytes(granules));
	return rc == -ENOENT ? "" : say("wrong free of ", start, ": ", rc);
}

std::string ModelRunner::check_state(bool verify) const
{
	const iovad_domain_stats s = stats_of(domain_);
	if (s.live_bytes + s.cached_bytes + s.deferred_bytes + s.reserved_bytes + s.free_bytes != bytes(oracle_.granules()))
		return "the parts are not the whole";
	if (s.live_ranges != oracle_.live_ranges() || s.live_bytes != bytes(oracle_.live()) ||
	    s.reserved_bytes != bytes(oracle_.reserved()))
		return say("live or reserved miscounted: ", s.live_ranges, " live, not ", oracle_.live_ranges());
	if (space_.exact() && s.cached_ranges != 0)
		return "cached without caches";
	return !verify || iovad_verify(domain_, stderr) == 0 ? "" : "verify";
}

std::string ModelRunner::give_all_back()
{
	Instruction i = {};
	while (!blocks_.empty()) {
		i.op = Op::free;
		if (const std::string wrong = free(i, 1); !wrong.empty())
			return wrong;
	}
	while (!exact_.empty()) {
		i.op = Op::free_range;
		if (const std::string wrong = free_range(i); !wrong.empty())
			return wrong;
	}
	return check_state(true);
}

}  // namespace iovad::test
