// SPDX-License-Identifier: BSD-3-Clause
// The few SVG elements that charts here are made of, and axes with round numbers.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace iovad::perf {

struct Rgb {
	unsigned r, g, b;

	// share of other, the rest of this.
	Rgb mixed(const Rgb &other, double share) const;
	std::string hex() const;
};

struct Box {
	double x, y, width, height;

	double right() const { return x + width; }
	double bottom() const { return y + height; }
};

class SvgCanvas {
public:
	SvgCanvas(FILE *out, double width, double height);
	~SvgCanvas();
	SvgCanvas(const SvgCanvas &) = delete;
	SvgCanvas &operator=(const SvgCanvas &) = delete;

	// attributes: verbatim, such as "class=\"note\"".
	void rect(const Box &box, const std::string &attributes);
	void line(double x1, double y1, double x2, double y2, const std::string &attributes);
	void text(double x, double y, const std::string &what, const std::string &attributes);
	void raw(const std::string &element);

private:
	FILE *out_;
};

// Round values in [low, high], about count of them, a multiple of 1, 2 or 5 times a power of ten
// apart.
std::vector<double> decimal_ticks(double low, double high, unsigned count);

// Values in [low, high], at most count, a power of two apart.
std::vector<uint64_t> binary_ticks(uint64_t low, uint64_t high, unsigned count);

}  // namespace iovad::perf
