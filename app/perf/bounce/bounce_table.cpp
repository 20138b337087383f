// SPDX-License-Identifier: BSD-3-Clause
#include "bounce/bounce_report.h"
#include "report/table.h"
#include "text.h"

namespace iovad::perf {
namespace {

void sizes_section(FILE *out, const BounceReport &report)
{
	fprintf(out, "\nNanoseconds for a buffer, given to the device and taken back: medians of %u rounds\n",
		report.options.rounds);
	fprintf(out, "  %9s %10s %8s %11s %10s %10s %10s %8s   %s\n", "bytes", "memcpy", "address", "bounce", "bounce",
		"mapped,", "mapped,", "looked", "bounce less memcpy, in addresses;");
	fprintf(out, "  %9s %10s %8s %11s %10s %10s %10s %8s   %s\n", "", "both ways", "pair", "sent", "both ways",
		"strict", "lazy", "up", "share of its bandwidth");
	for (const SizeReport &size : report.sizes) {
		fprintf(out, "  %9s %10.1f %8.2f %11.1f %10.1f %10.1f %10.1f %8.2f   %6.2f  %5.1f %%\n",
			grouped(size.bytes).c_str(), size.of(Way::copy), size.of(Way::pair), size.of(Way::bounce_sent),
			size.of(Way::bounce), size.of(Way::mapped_strict), size.of(Way::mapped_lazily), size.of(Way::looked_up),
			size.pairs_beyond_copy(), 100 * size.share_of_bandwidth());
	}
}

void crossover_row(FILE *out, const BounceReport &report, const char *name, Way way)
{
	const std::optional<double> bytes = report.crossover(way);
	row(out, name, bytes ? grouped(static_cast<uint64_t>(*bytes)) : std::string("all sizes"),
	    bytes ? "bytes: up to here a copy that is sent is cheaper" : "a copy that is sent is cheaper");
}

void scaling_section(FILE *out, const BounceReport &report)
{
	fprintf(out, "\nSeveral lcores at once, nanoseconds for a buffer on each, bounced both ways\n");
	for (const ScalingReport &s : report.scaling)
		fprintf(out, "  %9s bytes %4u lcores %10.1f   %.1f to %.1f\n", grouped(s.bytes).c_str(), s.lcores, s.ns.median,
			s.ns.min, s.ns.max);
}

}  // namespace

void write_table(FILE *out, const BounceReport &report)
{
	fprintf(out, "bounce: %s, lcores %s\n", report.options.vfio ? "VFIO" : "software IOMMU", listed(report.lcores).c_str());
	fprintf(out, "\nVerdict\n");
	row(out, "wrong", report.wrong, "buffers of which the device, or afterwards the caller, has not what it should");
	row(out, "left", report.left, "mappings, slots and faults of verify() at the end");
	sizes_section(out, report);
	fprintf(out, "\nCrossover\n");
	crossover_row(out, report, "strict", Way::mapped_strict);
	crossover_row(out, report, "lazy", Way::mapped_lazily);
	scaling_section(out, report);
}

}  // namespace iovad::perf
