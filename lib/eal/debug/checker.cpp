// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/checker.h"

#include <cerrno>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <new>

#include <rte_common.h>

#include "eal/debug/present.h"

namespace iovad::eal::debug {

namespace {

[[gnu::format(printf, 1, 2)]] std::string text(const char *format, ...)
{
	char out[256];
	va_list arguments;
	va_start(arguments, format);
	std::vsnprintf(out, sizeof out, format, arguments);
	va_end(arguments);
	return out;
}

uint64_t number(const void *va) { return reinterpret_cast<uint64_t>(va); }

const char *name_of(What what)
{
	switch (what) {
	case What::range: return "allocated";
	case What::mapping: return "mapped";
	case What::region: return "added as a region";
	case What::slot: return "mapped to a bounce slot";
	}
	return "";
}

const char *name_of(End how)
{
	switch (how) {
	case End::freed: return "freed";
	case End::unmapped: return "unmapped";
	case End::unmapped_lazily: return "unmapped lazily";
	case End::removed: return "removed";
	case End::elsewhere: return "found to be given back by somebody else";
	}
	return "";
}

using Lines = std::vector<std::string>;

void add_site(const CallSite &site, const std::string &what, Lines &lines)
{
	lines.push_back("  " + what + " by " + site.who());
	for (const std::string &frame : site.where())
		lines.push_back("    " + frame);
}

void add_record(const Record &r, Lines &lines)
{
	std::string what = text("%s: 0x%" PRIx64 ", %" PRIu64 " bytes", name_of(r.what), r.iova, r.len);
	if (r.dir != 0)
		what += text(" -> 0x%" PRIx64 ", %s%s", r.va, r.dir & 1 ? "r" : "", r.dir & 2 ? "w" : "");
	add_site(r.made, what, lines);
}

Lines history_of(const Record &r)
{
	Lines lines;
	add_record(r, lines);
	return lines;
}

Lines history_of(const Ended &e)
{
	Lines lines = history_of(e.record);
	add_site(e.site, name_of(e.how), lines);
	return lines;
}

template <class Found> Lines history_of(const std::optional<Found> &found) { return found ? history_of(*found) : Lines(); }

Ledger::Is at(uint64_t iova, uint64_t len)
{
	return [=](const Record &r) { return r.overlaps(iova, len); };
}

Ledger::Is at(What what, uint64_t iova, uint64_t len)
{
	return [=](const Record &r) { return r.what == what && r.overlaps(iova, len); };
}

// What is told may need memory, which a call that is right must not fail for.
template <class Tell> void told(Tell tell) noexcept
try {
	tell();
} catch (const std::bad_alloc &) {
}

}  // namespace

Checker::Checker(const char *name, core::Domain &core, core::MappingTable *mappings, const Settings &settings)
	: core_(core), mappings_(mappings), ledger_(settings.history, core.geometry().granule),
	  findings_(name, settings.fatal)
{
}

Checker::~Checker() = default;

void Checker::report(Finding finding, uint64_t iova, uint64_t len, const std::string &expected, const Lines &history)
{
	Lines lines = {text("%s: 0x%" PRIx64 ", %" PRIu64 " bytes", debug::name_of(finding).c_str(), iova, len)};
	lines.push_back("  expected " + expected);
	add_site(CallSite::here(), "found in a call", lines);
	lines.insert(lines.end(), history.begin(), history.end());
	if (history.empty())
		lines.push_back("  nothing more is known of it in this process");
	findings_.report(finding, lines);
}

Lines Checker::history(uint64_t iova, uint64_t len) const
{
	if (const std::optional<Record> live = ledger_.find_live(at(iova, len)))
		return history_of(*live);
	return history_of(ledger_.find_ended(at(iova, len)));
}

// number: of the mapping's record, if it has one.
void Checker::add(const Record &record, std::optional<uint32_t> number)
{
	const std::optional<uint32_t> deferred = ledger_.deferred(record.iova);
	if (deferred && deferred != number)
		told([&] {
			report(Finding::early_reuse, record.iova, record.len, "an address that no device reaches any more",
			       history_of(ledger_.find_ended(at(record.iova, 1))));
		});
	ledger_.add(record);
}

// ---- addresses ----

void Checker::allocated(uint64_t iova, uint64_t len)
{
	add({What::range, 0, iova, len, 0, CallSite::here()}, std::nullopt);
}

void Checker::freed(uint64_t iova, uint64_t len, const Taken &record)
{
	if (!record)
		return;  // another process had allocated it
	ledger_.end(*record, End::freed);
	if (record->len != len)
		told([&] {
			report(Finding::wrong_length, iova, len, text("%" PRIu64 " bytes", record->len), history_of(*record));
		});
}

void Checker::not_freed(uint64_t iova, uint64_t len, const Taken &record)
{
	const core::Geometry &g = core_.geometry();
	const core::Extent e = core_.find(iova);
	const bool live = core::is_live(e.value);
	if (record && live)
		ledger_.add(*record);
	else if (record)
		ledger_.end(*record, End::elsewhere);
	told([&] {
		if (live)
			return report(Finding::wrong_length, iova, len,
				      text("0x%" PRIx64 ", %" PRIu64 " bytes, which is what is live there", g.bytes(e.start),
					   g.bytes(e.end - e.start)), history_of(ledger_.find_live(at(iova, 1))));
		const std::optional<Ended> before = ledger_.find_ended(at(What::range, iova, len));
		report(before ? Finding::double_free : Finding::never_allocated, iova, len,
		       e.value == core::kReserved ? "a live range; it is reserved" : "a live range; it is free",
		       history_of(before));
	});
}

void Checker::is_mapped(uint64_t iova, uint64_t len)
{
	told([&] {
		report(Finding::free_of_mapped, iova, len, "iovad_unmap() of what is mapped", history(iova, len));
	});
}

// ---- mappings ----

// The number of the record that stands behind it.
std::optional<uint32_t> Checker::number_at(uint64_t iova, bool with_regions) const
{
	const core::LockGuard guard(mappings_->lock());
	const core::MappingRecord *r = mappings_->record_at(iova);
	return r && (with_regions || !r->region) ? std::optional(r->number) : std::nullopt;
}

void Checker::mapped(const void *va, uint64_t len, uint32_t dir, uint64_t iova)
{
	add({What::mapping, dir, iova, len, number(va), CallSite::here()}, number_at(iova, true));
}

// A region stays where it is, whatever of it is unmapped.
Checker::Taken Checker::unmapping(uint64_t iova, uint64_t len, bool lazily)
{
	Taken record = ledger_.take(What::mapping, iova, len);
	if (record)
		look_at_memory_of(*record);
	if (const auto n = lazily ? number_at(iova, false) : std::nullopt)
		ledger_.defer(iova, *n);
	return record;
}

void Checker::unmapped(uint64_t iova, uint64_t len, const Taken &record, bool lazily)
{
	if (!record)
		return;
	ledger_.end(*record, lazily ? End::unmapped_lazily : End::unmapped);
	if (record->len != len || record->iova != iova)
		told([&] {
			report(Finding::wrong_length, iova, len,
			       text("0x%" PRIx64 ", %" PRIu64 " bytes", record->iova, record->len), history_of(*record));
		});
}

void Checker::not_unmapped(uint64_t iova, uint64_t len, const Taken &record)
{
	if (record)
		ledger_.add(*record);
	told([&] {
		if (iova == RTE_BAD_IOVA)
			return bad_address("iovad_unmap()", len);
		if (const std::optional<Record> live = ledger_.find_live(at(What::mapping, iova, len)))
			return report(Finding::wrong_length, iova, len,
				      text("0x%" PRIx64 ", %" PRIu64 " bytes, which is what is mapped there", live->iova, live->len),
				      history_of(*live));
		const std::optional<Ended> before = ledger_.find_ended(at(What::mapping, iova, len));
		report(before ? Finding::double_unmap : Finding::never_mapped, iova, len, "what iovad_map() gave",
		       before ? history_of(*before) : history(iova, len));
	});
}

void Checker::region_added(const void *va, uint64_t len, uint32_t dir, uint64_t iova)
{
	add({What::region, dir, iova, len, number(va), CallSite::here()}, number_at(iova, true));
}

Checker::Taken Checker::removing(const void *va, uint64_t len)
{
	Taken record = ledger_.take(What::region, number(va), len);
	if (record)
		look_at_memory_of(*record);
	return record;
}

void Checker::removed(const Taken &record)
{
	if (record)
		ledger_.end(*record, End::removed);
}

void Checker::not_removed(const void *va, uint64_t len, int error, const Taken &record)
{
	if (record)
		ledger_.add(*record);
	if (error != -ENOENT)
		return;
	told([&] {
		if (record)
			return report(Finding::wrong_length, number(va), len, text("%" PRIu64 " bytes", record->len),
				      history_of(*record));
		const std::optional<Ended> before =
			ledger_.find_ended([va](const Record &r) { return r.what == What::region && r.va == number(va); });
		report(before ? Finding::double_unmap : Finding::never_mapped, number(va), len, "memory of iovad_region_add()",
		       history_of(before));
	});
}

void Checker::bad_address(const char *call, uint64_t len)
{
	told([&] {
		report(Finding::unchecked_map, RTE_BAD_IOVA, len,
		       std::string(call) + " of an address; this one is left by a map that failed, whose error nobody looked at", {});
	});
}

// ---- bounce slots ----

void Checker::slot_mapped(uint64_t iova, uint64_t len, uint32_t dir, const void *va)
{
	ledger_.add({What::slot, dir, iova, len, number(va), CallSite::here()});
}

void Checker::slot_unmapped(uint64_t iova)
{
	if (const Taken record = ledger_.take(What::slot, iova, 0))
		ledger_.end(*record, End::unmapped);
}

namespace {

// What is wrong with an unmap, or a sync. Null: what nobody can have meant, such as no bytes.
std::optional<Finding> finding_of(core::BounceWatch::Use use, core::BounceStatus why)
{
	const bool sync = use == core::BounceWatch::Use::sync;
	switch (why) {
	case core::BounceStatus::not_of_pool:
	case core::BounceStatus::not_mapped: return sync ? Finding::bad_sync : Finding::never_mapped;
	case core::BounceStatus::already: return sync ? Finding::bad_sync : Finding::double_unmap;
	case core::BounceStatus::inside: return sync ? Finding::bad_sync : Finding::wrong_length;
	case core::BounceStatus::wrong_direction: return Finding::wrong_direction;
	case core::BounceStatus::wrong_length: return sync ? Finding::sync_beyond : Finding::wrong_length;
	default: return std::nullopt;
	}
}

const char *direction(uint32_t dir)
{
	return dir == core::kBounceToDevice ? "to device" : dir == core::kBounceFromDevice ? "from device" : "both directions";
}

}  // namespace

void Checker::slot_refused(Use use, uint64_t iova, uint64_t off, uint64_t len, uint32_t dir, core::BounceStatus why)
{
	const std::optional<Finding> finding = finding_of(use, why);
	if (!finding)
		return;
	told([&] {
		if (iova == RTE_BAD_IOVA)
			return bad_address(use == Use::sync ? "a sync" : "iovad_bounce_unmap()", len);
		const std::string call = use == Use::sync ? text("a sync of %" PRIu64 " bytes at %" PRIu64 ", ", len, off) : "an unmap, ";
		const std::optional<Record> live = ledger_.find_live(at(What::slot, iova, 1));
		if (live)
			return report(*finding, iova, len,
				      text("0x%" PRIx64 ", %" PRIu64 " bytes, %s; it was %s%s", live->iova, live->len,
					   direction(live->dir), call.c_str(), direction(dir)), history_of(*live));
		report(*finding, iova, len, "what iovad_bounce_map() gave; it was " + call + direction(dir),
		       history_of(ledger_.find_ended(at(What::slot, iova, 1))));
	});
}

// ---- memory ----

void Checker::memory_goes(const void *va, uint64_t len)
{
	const uint64_t first = number(va);
	std::vector<Record> found;
	told([&] {
		ledger_.for_each([&](const Record &r) {
			if (r.dir != 0 && (r.va - first < len || first - r.va < r.len))
				found.push_back(r);
		});
		for (const Record &r : found)
			report(Finding::given_back, r.iova, r.len,
			       text("an unmap before EAL takes back 0x%" PRIx64 ", %" PRIu64 " bytes", first, len), history_of(r));
	});
}

void Checker::look_at_memory_of(const Record &r)
{
	if (r.dir == 0 || is_present(r.va, r.len))
		return;
	told([&] {
		report(Finding::given_back, r.iova, r.len, text("memory at 0x%" PRIx64 "; it is not there any more", r.va),
		       history_of(r));
	});
}

void Checker::look_at_memory()
{
	std::vector<Record> all;
	told([&] {
		ledger_.for_each([&](const Record &r) { all.push_back(r); });
		for (const Record &r : all)
			look_at_memory_of(r);
	});
}

void Checker::leaked(uint64_t iova, uint64_t len)
{
	told([&] { report(Finding::leak, iova, len, "nothing to be live at the domain's end", history(iova, len)); });
}

}  // namespace iovad::eal::debug
