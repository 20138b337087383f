// SPDX-License-Identifier: BSD-3-Clause
#include "report/svg_canvas.h"

#include <bit>
#include <cmath>

#include "text.h"

namespace iovad::perf {
namespace {

std::string escaped(const std::string &text)
{
	std::string out;
	for (const char c : text) {
		if (c == '<')
			out += "&lt;";
		else if (c == '>')
			out += "&gt;";
		else if (c == '&')
			out += "&amp;";
		else if (static_cast<unsigned char>(c) < 0x20)
			out += '?';  // XML has no way to write them
		else
			out += c;
	}
	return out;
}

}  // namespace

Rgb Rgb::mixed(const Rgb &other, double share) const
{
	const auto mix = [share](unsigned a, unsigned z) {
		return static_cast<unsigned>(std::lround(double(a) * (1 - share) + double(z) * share));
	};
	return {mix(r, other.r), mix(g, other.g), mix(b, other.b)};
}

std::string Rgb::hex() const
{
	return format("#%02x%02x%02x", r, g, b);
}

SvgCanvas::SvgCanvas(FILE *out, double width, double height) : out_(out)
{
	fprintf(out_,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
		"viewBox=\"0 0 %g %g\" font-size=\"12\" fill=\"#3b4252\" "
		"font-family=\"Inter, 'Helvetica Neue', Arial, sans-serif\">\n",
		width, height, width, height);
}

SvgCanvas::~SvgCanvas()
{
	fprintf(out_, "</svg>\n");
}

void SvgCanvas::rect(const Box &box, const std::string &attributes)
{
	fprintf(out_, "<rect x=\"%.6g\" y=\"%.6g\" width=\"%.6g\" height=\"%.6g\" %s/>\n", box.x, box.y,
		box.width, box.height, attributes.c_str());
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, const std::string &attributes)
{
	fprintf(out_, "<line x1=\"%.6g\" y1=\"%.6g\" x2=\"%.6g\" y2=\"%.6g\" %s/>\n", x1, y1, x2, y2,
		attributes.c_str());
}

void SvgCanvas::text(double x, double y, const std::string &what, const std::string &attributes)
{
	fprintf(out_, "<text x=\"%.6g\" y=\"%.6g\" %s>%s</text>\n", x, y, attributes.c_str(),
		escaped(what).c_str());
}

void SvgCanvas::raw(const std::string &element)
{
	fprintf(out_, "%s\n", element.c_str());
}

std::vector<double> decimal_ticks(double low, double high, unsigned count)
{
	std::vector<double> ticks;
	const double rough = (high - low) / count;
	if (!(rough > 0))
		return ticks;
	const double power = std::pow(10, std::floor(std::log10(rough)));
	double step = 10 * power;
	for (const double factor : {1.0, 2.0, 5.0}) {
		if (factor * power >= rough) {
			step = factor * power;
			break;
		}
	}
	// By whole numbers of steps, so that rounding errors do not add up; the hair lets a tick that
	// stands exactly on the end be there.
	for (double n = std::ceil(low / step); n * step <= high + step * 1e-9; n++)
		ticks.push_back(n * step);
	return ticks;
}

std::vector<uint64_t> binary_ticks(uint64_t low, uint64_t high, unsigned count)
{
	std::vector<uint64_t> ticks;
	if (high <= low)
		return ticks;
	const uint64_t step = std::bit_ceil((high - low) / count + 1);
	for (uint64_t at = (low + step - 1) / step * step; at <= high; at += step)
		ticks.push_back(at);
	return ticks;
}

}  // namespace iovad::perf
