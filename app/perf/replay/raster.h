// SPDX-License-Identifier: BSD-3-Clause
// Live ranges as cells of a picture, time to the right and addresses upwards: of every cell, which
// share of its area was live, and by which class most of that. A range of any length costs only the
// cells it covers, and the picture costs its cells, however many ranges there were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace iovad::perf {

class Raster {
public:
	struct Axis {
		uint64_t low, high;  // [low, high), high > low
		size_t cells;
	};

	Raster(const Axis &time, const Axis &address, size_t classes)
		: time_(time), address_(address), classes_(classes),
		  area_(time.cells * address.cells * classes)
	{
	}

	// What lies outside the axes is cut off.
	void add(uint64_t begin, uint64_t end, uint64_t low, uint64_t high, size_t kind)
	{
		const Span columns = span(time_, begin, end), rows = span(address_, low, high);
		for (size_t row = rows.first; row < rows.last; row++) {
			const float height = static_cast<float>(rows.share(row));
			for (size_t column = columns.first; column < columns.last; column++)
				area_[index(column, row) + kind] +=
					height * static_cast<float>(columns.share(column));
		}
	}

	struct Cell {
		size_t kind;
		double live;  // 0 to 1
	};

	Cell at(size_t column, size_t row) const
	{
		const float *area = &area_[index(column, row)];
		Cell cell{0, 0};
		for (size_t kind = 0; kind < classes_; kind++) {
			cell.live += double(area[kind]);
			if (area[kind] > area[cell.kind])
				cell.kind = kind;
		}
		return cell;
	}

	size_t columns() const { return time_.cells; }
	size_t rows() const { return address_.cells; }

private:
	// [from, to) in units of cells.
	struct Span {
		double from, to;
		size_t first, last;

		double share(size_t cell) const
		{
			const double low = from > double(cell) ? from : double(cell);
			const double high = to < double(cell + 1) ? to : double(cell + 1);
			return high > low ? high - low : 0;
		}
	};

	static double place(const Axis &axis, uint64_t value)
	{
		if (value <= axis.low)
			return 0;
		if (value >= axis.high)
			return double(axis.cells);
		return double(value - axis.low) * double(axis.cells) / double(axis.high - axis.low);
	}

	static Span span(const Axis &axis, uint64_t low, uint64_t high)
	{
		Span out{place(axis, low), place(axis, high), 0, 0};
		out.first = static_cast<size_t>(out.from);
		out.last = static_cast<size_t>(out.to) +
			   (out.to > double(static_cast<size_t>(out.to)) ? 1 : 0);
		return out;
	}

	size_t index(size_t column, size_t row) const
	{
		return (row * time_.cells + column) * classes_;
	}

	Axis time_, address_;
	size_t classes_;
	std::vector<float> area_;
};

}  // namespace iovad::perf
