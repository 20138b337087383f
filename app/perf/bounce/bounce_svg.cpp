// SPDX-License-Identifier: BSD-3-Clause
// Cost over size, both logarithmic: where the lines of bounce and mapping cross a copy stops being
// cheaper.
#include <algorithm>
#include <cmath>
#include <limits>

#include "bounce/bounce_report.h"
#include "report/svg_canvas.h"
#include "text.h"

namespace iovad::perf {
namespace {

constexpr double kWidth = 900, kHeight = 560;
constexpr Box kPlot = {90, 60, 600, 420};

struct Line {
	Way way;
	const char *label, *colour;
};

constexpr Line kLines[] = {
	{Way::bounce, "bounce, both ways", "#e2665c"},   {Way::bounce_sent, "bounce, sent", "#f3a347"},
	{Way::copy, "memcpy, both ways", "#888888"},     {Way::mapped_strict, "mapped, strict", "#3f6fc4"},
	{Way::mapped_lazily, "mapped, lazy", "#1f9aa8"}, {Way::looked_up, "looked up in a region", "#2f8f4e"},
};

class Chart {
public:
	Chart(FILE *out, const BounceReport &report) : canvas_(out, kWidth, kHeight), report_(report)
	{
		low_x_ = std::log2(double(report.sizes.front().bytes));
		high_x_ = std::max(std::log2(double(report.sizes.back().bytes)), low_x_ + 1);
		double low = std::numeric_limits<double>::infinity(), high = 0;
		for (const SizeReport &size : report.sizes) {
			for (const Line &line : kLines) {
				low = std::min(low, size.of(line.way));
				high = std::max(high, size.of(line.way));
			}
		}
		low_y_ = std::floor(std::log10(std::max(low, 0.1)));
		high_y_ = std::max(std::ceil(std::log10(std::max(high, 1.0))), low_y_ + 1);
	}

	void draw()
	{
		canvas_.rect({0, 0, kWidth, kHeight}, "fill=\"#fff\"");
		canvas_.text(kPlot.x, 34, "A buffer given to a device and taken back", "font-size=\"17\" font-family=\"sans-serif\"");
		axes();
		double label_y = kPlot.y + 12;
		for (const Line &line : kLines) {
			curve(line);
			const std::string style = format("font-size=\"13\" font-family=\"sans-serif\" fill=\"%s\"", line.colour);
			canvas_.text(kPlot.right() + 16, label_y, line.label, style);
			label_y += 20;
		}
		crossing("strict", Way::mapped_strict, label_y + 10);
		crossing("lazy", Way::mapped_lazily, label_y + 30);
	}

private:
	double x(double bytes) const
	{
		return kPlot.x + kPlot.width * (std::log2(bytes) - low_x_) / (high_x_ - low_x_);
	}
	double y(double ns) const
	{
		return kPlot.bottom() - kPlot.height * (std::log10(std::max(ns, 0.1)) - low_y_) / (high_y_ - low_y_);
	}

	void axes()
	{
		const char *const grid = "stroke=\"#ddd\"";
		for (double power = low_y_; power <= high_y_; ++power) {
			const double at = y(std::pow(10, power));
			canvas_.line(kPlot.x, at, kPlot.right(), at, grid);
			canvas_.text(kPlot.x - 8, at + 4, format("%g ns", std::pow(10, power)),
				     "font-size=\"12\" font-family=\"sans-serif\" text-anchor=\"end\"");
		}
		for (const uint64_t bytes : binary_ticks(report_.sizes.front().bytes, report_.sizes.back().bytes, 8)) {
			const double at = x(double(bytes));
			canvas_.line(at, kPlot.y, at, kPlot.bottom(), grid);
			canvas_.text(at, kPlot.bottom() + 20, human_bytes(double(bytes)),
				     "font-size=\"12\" font-family=\"sans-serif\" text-anchor=\"middle\"");
		}
	}

	void curve(const Line &line)
	{
		std::string points;
		for (const SizeReport &size : report_.sizes)
			points += format("%.1f,%.1f ", x(double(size.bytes)), y(size.of(line.way)));
		canvas_.raw(format("<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>", points.c_str(),
				   line.colour));
	}

	void crossing(const char *what, Way way, double label_y)
	{
		const std::optional<double> bytes = report_.crossover(way);
		const std::string up_to = bytes ? human_bytes(*bytes) : std::string("all sizes");
		canvas_.text(kPlot.right() + 16, label_y, format("copy, not %s: %s", what, up_to.c_str()),
			     "font-size=\"12\" font-family=\"sans-serif\"");
		if (bytes && *bytes > 0)
			canvas_.line(x(*bytes), kPlot.y, x(*bytes), kPlot.bottom(), "stroke=\"#444\" stroke-dasharray=\"4 4\"");
	}

	SvgCanvas canvas_;
	const BounceReport &report_;
	double low_x_, high_x_, low_y_, high_y_;
};

}  // namespace

void write_svg(FILE *out, const BounceReport &report) { Chart(out, report).draw(); }

}  // namespace iovad::perf
