// SPDX-License-Identifier: BSD-3-Clause
// The address space over time. Ranges are not drawn one by one (a trace has 10^5 of them, most of
// them shorter than a pixel) but as the cells of a raster: the colour is the size of the ranges that
// fill most of a cell, the strength how much of it they fill.
#include <algorithm>
#include <bit>
#include <cmath>

#include "replay/raster.h"
#include "report/report.h"
#include "report/svg_canvas.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr double kWidth = 1240, kHeight = 800;
constexpr Box kSpace = {118, 104, 1080, 468};  // addresses over time
constexpr Box kLive = {118, 612, 1080, 108};   // live bytes over time
constexpr double kCell = 3;                    // pixels; both sides of kSpace are multiples
constexpr size_t kStrengths = 6;

struct SizeClass {
	uint64_t up_to;
	const char *label;
	Rgb colour;
};

// From the smallest, warm, to the largest, cool: the small ones are the many and the short-lived.
constexpr SizeClass kClasses[] = {
	{4096, "4 KiB", {0xf3, 0xa3, 0x47}},      {8192, "8 KiB", {0xe2, 0x66, 0x5c}},
	{16384, "16 KiB", {0xb0, 0x4a, 0x8f}},    {32768, "32 KiB", {0x76, 0x4f, 0xb2}},
	{65536, "64 KiB", {0x3f, 0x6f, 0xc4}},    {131072, "128 KiB", {0x1f, 0x9a, 0xa8}},
	{UINT64_MAX, "more", {0x2f, 0x8f, 0x4e}},
};
constexpr size_t kClassCount = std::size(kClasses);
constexpr Rgb kPaper = {0xff, 0xff, 0xff};
constexpr Rgb kLiveColour = {0x3f, 0x6f, 0xc4};

size_t class_of(uint64_t size)
{
	size_t kind = 0;
	while (size > kClasses[kind].up_to)
		kind++;
	return kind;
}

// A touch of any strength must be seen; beyond that the eye compares shades better than it measures.
size_t strength_of(double live)
{
	return std::min(kStrengths - 1, static_cast<size_t>(std::sqrt(live) * kStrengths));
}

Rgb shade(size_t kind, size_t strength)
{
	return kPaper.mixed(kClasses[kind].colour, 0.28 + 0.72 * double(strength) / (kStrengths - 1));
}

struct TimeUnit {
	const char *name;
	double per_second;
};

TimeUnit unit_for(double seconds)
{
	if (seconds >= 2)
		return {"s", 1};
	return seconds >= 2e-3 ? TimeUnit{"ms", 1e3} : TimeUnit{"µs", 1e6};
}

class Figure {
public:
	Figure(FILE *out, const Report &report, double ticks_per_second)
		: canvas_(out, kWidth, kHeight), report_(report), space_(report.space),
		  seconds_(double(space_.end_tick - space_.begin_tick) / ticks_per_second),
		  unit_(unit_for(seconds_))
	{
		// Whole steps around the addresses in use; the rest of the domain is empty and of no
		// interest.
		const uint64_t used = std::max<uint64_t>(space_.high - space_.low, 16 * kGranule);
		const uint64_t grain = std::max(kGranule, std::bit_ceil(used / 32));
		low_ = space_.low / grain * grain;
		high_ = std::max((space_.high + grain - 1) / grain * grain, low_ + 16 * kGranule);
	}

	void draw(const Plan &plan, const std::vector<SlotRecord> &slots)
	{
		canvas_.rect({0, 0, kWidth, kHeight}, "fill=\"#ffffff\"");
		heading();
		legend();
		cells(plan, slots);
		address_axis();
		live_strip();
		time_axis();
	}

private:
	using Paths = std::string[kClassCount][kStrengths];

	void heading()
	{
		canvas_.text(kSpace.x, 36,
			     "I/O address space during a replay of " + base_name(report_.file),
			     "font-size=\"20\" font-weight=\"600\" fill=\"#1f2430\"");
		const std::string runs =
			report_.repeat == 1 ? "" : format(", the last of %u runs", report_.repeat);
		canvas_.text(kSpace.x, 58,
			     format("engine %s, %zu lcores%s: %s allocations and %s frees in %.4g %s, "
				    "within %s of addresses",
				    report_.engine.c_str(), report_.lcores.size(), runs.c_str(),
				    grouped(report_.plan.allocs).c_str(),
				    grouped(report_.plan.frees).c_str(), seconds_ * unit_.per_second,
				    unit_.name, human_bytes(double(space_.high - space_.low)).c_str()),
			     "font-size=\"13\" fill=\"#5b6472\"");
	}

	void legend()
	{
		constexpr double kBaseline = 89, kBox = 11;
		canvas_.text(kSpace.x, kBaseline, "Ranges of up to", "fill=\"#5b6472\"");
		double x = kSpace.x + 106;
		for (const SizeClass &kind : kClasses) {
			canvas_.rect({x, kBaseline - kBox + 1, kBox, kBox},
				     "rx=\"2\" fill=\"" + kind.colour.hex() + "\"");
			canvas_.text(x + kBox + 5, kBaseline, kind.label, "");
			x += 30 + 7.2 * double(std::string(kind.label).size());
		}
		constexpr double kStep = 16;
		x = kSpace.right() - kStrengths * kStep;
		canvas_.text(x - 8, kBaseline, "share of a cell that is live, from a touch to all",
			     "text-anchor=\"end\" fill=\"#5b6472\"");
		for (size_t strength = 0; strength < kStrengths; strength++)
			canvas_.rect({x + kStep * double(strength), kBaseline - kBox + 1, kStep, kBox},
				     "fill=\"" + shade(0, strength).hex() + "\"");
	}

	void cells(const Plan &plan, const std::vector<SlotRecord> &slots)
	{
		Raster raster({space_.begin_tick, space_.end_tick, size_t(kSpace.width / kCell)},
			      {low_, high_, size_t(kSpace.height / kCell)}, kClassCount);
		for (size_t i = 0; i < slots.size(); i++) {
			const SlotRecord &slot = slots[i];
			if (slot.iova == 0)
				continue;
			const uint64_t end = slot.free_tick == 0 ? space_.end_tick : slot.free_tick;
			const uint64_t size = plan.slots[i].size;
			raster.add(slot.alloc_tick, end, slot.iova, slot.iova + size, class_of(size));
		}

		// Runs of equal cells of a row are one stroke; all strokes of one shade are one path,
		// in units of cells with rows counted downwards.
		Paths paths;
		for (size_t row = 0; row < raster.rows(); row++) {
			for (size_t column = 0; column < raster.columns();) {
				std::string *path = path_of(raster, column, row, paths);
				size_t end = column + 1;
				while (end < raster.columns() &&
				       path_of(raster, end, row, paths) == path)
					end++;
				if (path != nullptr)
					*path += format("M%zu %zuh%zu", column, raster.rows() - 1 - row,
							end - column);
				column = end;
			}
		}
		canvas_.raw(format(
			"<g transform=\"translate(%g %g) scale(%g) translate(0 .5)\" fill=\"none\" "
			"shape-rendering=\"crispEdges\">",
			kSpace.x, kSpace.y, kCell));
		for (size_t kind = 0; kind < kClassCount; kind++) {
			for (size_t strength = 0; strength < kStrengths; strength++) {
				if (!paths[kind][strength].empty())
					canvas_.raw("<path stroke=\"" + shade(kind, strength).hex() +
						    "\" d=\"" + paths[kind][strength] + "\"/>");
			}
		}
		canvas_.raw("</g>");
		canvas_.rect(kSpace, "fill=\"none\" stroke=\"#9aa3b2\"");
	}

	static std::string *path_of(const Raster &raster, size_t column, size_t row, Paths &paths)
	{
		const Raster::Cell cell = raster.at(column, row);
		return cell.live <= 0 ? nullptr : &paths[cell.kind][strength_of(cell.live)];
	}

	void address_axis()
	{
		for (const uint64_t tick : binary_ticks(low_, high_, 10)) {
			const double y = kSpace.bottom() -
					 kSpace.height * double(tick - low_) / double(high_ - low_);
			canvas_.line(kSpace.x, y, kSpace.right(), y,
				     "stroke=\"#1f2430\" stroke-opacity=\"0.10\"");
			canvas_.text(kSpace.x - 8, y + 4,
				     format("0x%08llx", static_cast<unsigned long long>(tick)),
				     "text-anchor=\"end\" font-family=\"'DejaVu Sans Mono', "
				     "monospace\" font-size=\"11\"");
		}
		axis_title(kSpace, "address (IOVA)");
	}

	void live_strip()
	{
		const double top = nice_top(double(space_.at_peak.live_bytes));
		const auto y_of = [top](double bytes) {
			return kLive.bottom() - kLive.height * bytes / top;
		};
		for (const double share : {0.0, 0.5, 1.0}) {
			canvas_.line(kLive.x, y_of(share * top), kLive.right(), y_of(share * top),
				     "stroke=\"#e3e7ee\"");
			canvas_.text(kLive.x - 8, y_of(share * top) + 4, human_bytes(share * top),
				     "text-anchor=\"end\" font-size=\"11\"");
		}
		const std::vector<Level> levels = live_levels();
		std::string band, mean;
		for (size_t i = 0; i < levels.size(); i++) {
			const double x = kLive.x + double(i) + 0.5;
			band += format("%s%.1f %.1f", i == 0 ? "M" : "L", x, y_of(levels[i].highest));
			mean += format("%s%.1f %.1f", i == 0 ? "M" : "L", x, y_of(levels[i].mean));
		}
		const std::string feet = format("V%.1fH%.1fZ", kLive.bottom(), kLive.x + 0.5);
		canvas_.raw("<path d=\"" + band + feet + "\" fill=\"" +
			    kPaper.mixed(kLiveColour, 0.25).hex() + "\"/>");
		canvas_.raw("<path d=\"" + mean + "\" fill=\"none\" stroke=\"" + kLiveColour.hex() +
			    "\" stroke-width=\"1.2\"/>");
		canvas_.rect(kLive, "fill=\"none\" stroke=\"#9aa3b2\"");
		peak_mark(y_of(double(space_.at_peak.live_bytes)));
		axis_title(kLive, "live bytes");
		canvas_.text(kLive.right(), kLive.y - 8,
			     "line: mean, area: maximum of each pixel's time",
			     "text-anchor=\"end\" font-size=\"11\" fill=\"#5b6472\"");
	}

	void peak_mark(double y)
	{
		const double x = kLive.x + kLive.width *
						   double(space_.peak_live_tick - space_.begin_tick) /
						   double(space_.end_tick - space_.begin_tick);
		const bool left = x > kLive.right() - 160;
		canvas_.raw(format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#1f2430\"/>", x, y));
		canvas_.text(x + (left ? -8 : 8), y - 6,
			     "peak " + human_bytes(double(space_.at_peak.live_bytes)),
			     format("text-anchor=\"%s\" font-weight=\"600\" fill=\"#1f2430\" "
				    "stroke=\"#ffffff\" "
				    "stroke-width=\"3\" paint-order=\"stroke\"",
				    left ? "end" : "start"));
	}

	void time_axis()
	{
		const double length = seconds_ * unit_.per_second;
		for (const double tick : decimal_ticks(0, length, 12)) {
			const double x = kLive.x + kLive.width * tick / length;
			canvas_.line(x, kLive.bottom(), x, kLive.bottom() + 5, "stroke=\"#9aa3b2\"");
			canvas_.line(x, kSpace.bottom(), x, kSpace.bottom() + 5, "stroke=\"#9aa3b2\"");
			canvas_.text(x, kLive.bottom() + 20, format("%.4g", tick),
				     "text-anchor=\"middle\" font-size=\"11\"");
		}
		canvas_.text(kLive.x + kLive.width / 2, kLive.bottom() + 42,
			     format("time since the replay began (%s)", unit_.name),
			     "text-anchor=\"middle\" font-size=\"13\"");
	}

	void axis_title(const Box &box, const char *title)
	{
		const double x = 24, y = box.y + box.height / 2;
		canvas_.text(x, y, title,
			     format("text-anchor=\"middle\" font-size=\"13\" "
				    "transform=\"rotate(-90 %g %g)\"",
				    x, y));
	}

	// The next of 1, 1.5, 2, 3 times a power of two above: halves of it are round, too.
	static double nice_top(double bytes)
	{
		double top = double(kGranule);
		while (top < bytes * 1.12) {
			if (top * 1.5 >= bytes * 1.12)
				return top * 1.5;
			top *= 2;
		}
		return top;
	}

	struct Level {
		double highest = 0, mean = 0;
	};

	// Of each pixel's stretch of time.
	std::vector<Level> live_levels() const
	{
		std::vector<Level> levels(static_cast<size_t>(kLive.width));
		const double begin = double(space_.begin_tick);
		const double step = double(space_.end_tick - space_.begin_tick) / double(levels.size());
		double now = 0;
		size_t next = 0;
		for (size_t i = 0; i < levels.size(); i++) {
			double at = begin + step * double(i);
			const double end = at + step;
			levels[i].highest = now;
			for (; next < space_.points.size() && double(space_.points[next].tick) < end;
			     next++) {
				const double tick = std::max(at, double(space_.points[next].tick));
				levels[i].mean += now * (tick - at) / step;
				at = tick;
				now = double(space_.points[next].live_bytes);
				levels[i].highest = std::max(levels[i].highest, now);
			}
			levels[i].mean += now * (end - at) / step;
		}
		return levels;
	}

	SvgCanvas canvas_;
	const Report &report_;
	const Timeline &space_;
	double seconds_;
	TimeUnit unit_;
	uint64_t low_ = 0, high_ = 0;
};

}  // namespace

void write_svg(FILE *out, const Report &report, const Plan &plan, const std::vector<SlotRecord> &slots,
	       double ticks_per_second)
{
	Figure(out, report, ticks_per_second).draw(plan, slots);
}

}  // namespace iovad::perf
