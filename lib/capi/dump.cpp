// SPDX-License-Identifier: BSD-3-Clause
// A domain as text.
#include <cerrno>
#include <cinttypes>

#include "eal/domain/handle.h"
#include "iovad/iovad.h"

using iovad::core::Extent;
using iovad::core::Geometry;

namespace {

void dump_size(uint64_t bytes, FILE *out)
{
	static constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	unsigned unit = 0;
	while (unit < 5 && bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		++unit;
	}
	std::fprintf(out, "%6" PRIu64 " %-3s", bytes, kUnits[unit]);
}

void dump_range(const iovad_domain &d, const Extent &e, FILE *out)
{
	const Geometry &g = d.core.geometry();
	std::fprintf(out, "  0x%012" PRIx64 " - 0x%012" PRIx64 "  ", g.bytes(e.start), g.bytes(e.end) - 1);
	dump_size(g.bytes(e.end - e.start), out);
	std::fprintf(out, "  %s", iovad::core::is_live(e.value) ? "live" : "reserved");
	// The mapping may begin behind the range, see Mapper::allocate(), or end before it.
	iovad::core::Mapping m;
	if (d.mappings && (d.mappings->find_iova(g.bytes(e.start), 1, m) || d.mappings->find_iova(g.bytes(e.end) - 1, 1, m)))
		std::fprintf(out, "  -> %p, %s%s", reinterpret_cast<void *>(m.va), m.dir & 1 ? "r" : "",
			     m.dir & 2 ? "w" : "");
	std::fputc('\n', out);
}

}  // namespace

int iovad_dump(struct iovad_domain *d, FILE *out)
{
	if (!d || !out)
		return -EINVAL;
	const Geometry &g = d->core.geometry();
	iovad_domain_stats s;
	iovad_domain_stats_get(d, &s);
	std::fprintf(out, "domain %s: 0x%" PRIx64 " - 0x%" PRIx64 ", granule %" PRIu64 " bytes\n", d->shared->name,
		     g.first_byte(), g.last_byte(), g.granule);
	std::fprintf(out, "  live %" PRIu64 " ranges, %" PRIu64 " bytes; cached %" PRIu64 "; reserved %" PRIu64
		     " bytes; quarantined %" PRIu64 " bytes; mapped %" PRIu64 ", unmapped %" PRIu64 ", errors %" PRIu64 "\n",
		     s.live_ranges, s.live_bytes, s.cached_ranges, s.reserved_bytes, s.quarantined_bytes, s.backend_maps,
		     s.backend_unmaps, s.backend_errors);
	for (iovad::core::Pfn at = g.first; at < g.end;) {
		const Extent e = d->core.find(g.bytes(at));
		if (!iovad::core::is_free(e.value))
			dump_range(*d, e, out);
		at = e.end;
	}
	return 0;
}
