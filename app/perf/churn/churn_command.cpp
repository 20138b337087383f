// SPDX-License-Identifier: BSD-3-Clause
// "churn": from arguments to reports and the verdict.
#include <optional>

#include <rte_cycles.h>
#include <rte_errno.h>

#include <iovad/iovad_control.h>

#include "churn/churn.h"
#include "churn/churn_options.h"
#include "churn/churn_report.h"
#include "command.h"
#include "measure/clock.h"
#include "measure/domain.h"
#include "output_file.h"
#include "progress.h"
#include "text.h"

namespace iovad::perf {
namespace {

iovad_domain_conf domain_conf(const ChurnOptions &options, const BufferPlan &buffers, Mode mode)
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = "churn";
	conf.backend = options.vfio ? IOVAD_BACKEND_VFIO : IOVAD_BACKEND_SOFT;
	conf.granule = kChurnGranule;
	conf.iova_first = kChurnFirst;
	conf.iova_last = buffers.iova_last;
	conf.max_ranges = buffers.max_ranges;
	conf.unmap_policy = mode == Mode::lazy ? IOVAD_UNMAP_LAZY : IOVAD_UNMAP_STRICT;
	conf.lazy_max_age_us = options.bounds.max_age_us;
	conf.lazy_max_bytes = options.bounds.max_bytes;
	return conf;
}

// All memory as one region, while this is there.
class Region {
public:
	Region(iovad_domain *domain, const Memory &memory) : domain_(domain), memory_(memory)
	{
		rte_iova_t iova;
		const int status =
			iovad_region_add(domain, memory.at(0), memory.size(), UINT64_MAX, IOVAD_BIDIRECTIONAL, &iova);
		if (status != 0)
			throw UsageError(format("cannot add the region: %s", rte_strerror(-status)));
	}
	~Region() { remove(); }
	Region(const Region &) = delete;
	Region &operator=(const Region &) = delete;

	int remove()
	{
		const int status =
			there_ ? iovad_region_remove(domain_, memory_.at(0), memory_.size()) : 0;
		there_ = there_ && status != 0;
		return status;
	}

private:
	iovad_domain *domain_;
	const Memory &memory_;
	bool there_ = true;
};

void add_result(const ChurnResult &result, ModeReport &report)
{
	const double hz = double(rte_get_tsc_hz());
	report.failed_maps = result.failed_maps;
	report.failed_unmaps = result.failed_unmaps;
	report.first_error = result.first_error;
	report.overlaps = result.overlaps;
	report.astray = result.astray;
	report.accounting = result.still_owned != 0;
	report.pairs = result.pairs;
	report.seconds = double(result.end_tick - result.begin_tick) / hz;
	report.pairs_per_second = double(result.pairs) / report.seconds;
	report.map = times_of(result.map_ticks, hz);
	report.unmap = times_of(result.unmap_ticks, hz);
	report.exposed_at_least = times_of(result.exposed_at_least, hz);
	report.exposed_at_most = times_of(result.exposed_at_most, hz);
}

// Once all is unmapped: that nothing is left, and that the counters agree.
void add_end(const ChurnOptions &options, Domain &domain, uint64_t mapped, ModeReport &report)
{
	const iovad_domain_stats stats = domain.stats();
	report.backend = {report.mode == Mode::lazy, options.bounds, stats};
	report.leaks = stats.live_ranges;
	report.accounting += report.backend.broken(mapped) + (stats.bad_frees != 0);
	report.verify_failures = !domain.verify();
	report.accounting += !domain.destroy() && report.leaks == 0;
}

ModeReport run_mode(const ChurnOptions &options, const BufferPlan &buffers, const Memory &memory, Mode mode,
		    const std::vector<unsigned> &lcores)
{
	ModeReport report;
	report.mode = mode;
	Domain domain(domain_conf(options, buffers, mode));
	std::optional<Region> region;
	if (mode == Mode::region)
		region.emplace(domain.get(), memory);
	std::optional<ControlThread> control(std::in_place);
	const ChurnResult result = Churn(options, buffers, memory, mode, domain.get(), lcores).run();
	report.failed_others += iovad_flush(domain.get()) != 0;
	control.reset();
	if (region)
		report.failed_others += region->remove() != 0;
	add_result(result, report);
	add_end(options, domain, region ? 1 : result.mapped, report);
	return report;
}

ExitCode run_churn(const EalArguments &eal_arguments, int argc, char **argv)
{
	ChurnReport report;
	report.options = parse_churn_options(argc, argv);
	const ChurnOptions &options = report.options;
	if (options.help) {
		fputs(kChurnUsage, stdout);
		return kExitOk;
	}
	std::optional<OutputFile> json;
	if (!options.json.empty())
		json.emplace(options.json);

	const Eal eal(eal_arguments);
	report.lcores = eal.lcores(options.lcores);
	report.clock_ns = clock_cost_ns();
	const BufferPlan buffers(options, report.lcores.size());
	const Memory memory(buffers.total, Memory::Fill::present);
	Progress progress;
	for (const Mode mode : options.modes) {
		progress.update(format("churning  %s", name_of(mode)));
		report.modes.push_back(run_mode(options, buffers, memory, mode, report.lcores));
	}
	write_table(stdout, report);
	if (json)
		json->finish([&](FILE *out) { write_json(out, report); });
	return report.good() ? kExitOk : kExitWrong;
}

}  // namespace

const Command kChurnCommand = {"churn", "map and unmap as fast as it goes: strict, lazy, region", true, run_churn};

}  // namespace iovad::perf
