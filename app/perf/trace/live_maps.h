// SPDX-License-Identifier: BSD-3-Clause
// The maps of a trace that are live at one point of it: a multiset of address ranges, as several
// domains may map the same address (see replay_plan.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <unordered_set>
#include <vector>

namespace iovad::perf {

class LiveMaps {
public:
	struct Piece {
		uint64_t end;
		uint32_t map;  // the caller's number for the map it is a piece of
		bool whole;    // nothing of that map has been unmapped yet
	};

	bool overlaps(uint64_t begin, uint64_t end) const
	{
		const auto next = pieces_.lower_bound(begin);
		return (next != pieces_.end() && next->first < end) ||
		       find_holding(begin) != pieces_.end();
	}

	void add(uint64_t begin, uint64_t end, uint32_t map)
	{
		pieces_.emplace(begin, Piece{end, map, true});
		longest_ = std::max(longest_, end - begin);
	}

	// Takes whole maps that tile [begin, end) exactly, in the order of their addresses; one single
	// map where there is one. Where nothing tiles it, takes nothing and returns an empty list.
	std::vector<uint32_t> take_tiling(uint64_t begin, uint64_t end);

	// Takes off whatever lies in [begin, end), but no byte twice: took(map, bytes) for each piece.
	template <typename Took> void take_parts(uint64_t begin, uint64_t end, Took took);

private:
	using Pieces = std::multimap<uint64_t, Piece>;

	// The choices for one step of a tiling, the best one last.
	struct Step {
		uint64_t at;
		std::vector<Pieces::const_iterator> choices;
	};

	Step choices_at(uint64_t at, uint64_t end) const
	{
		Step step{at, {}};
		const auto [first, last] = pieces_.equal_range(at);
		for (auto it = first; it != last; ++it) {
			if (it->second.whole && it->second.end <= end)
				step.choices.push_back(it);
		}
		// A multimap keeps equal keys in the order they came. The longest first: a single map
		// that fits is what one call mapped; among equals the oldest, as rings are first in,
		// first out.
		std::stable_sort(step.choices.begin(), step.choices.end(),
				 [](auto a, auto b) { return a->second.end > b->second.end; });
		std::reverse(step.choices.begin(), step.choices.end());
		return step;
	}

	Pieces::const_iterator find_holding(uint64_t address) const
	{
		// Ranges may overlap, so the nearest start below need not be the one; but nothing that
		// starts further away than the longest range can reach.
		for (auto it = pieces_.upper_bound(address); it != pieces_.begin();) {
			--it;
			if (it->second.end > address)
				return it;
			if (address - it->first >= longest_)
				break;
		}
		return pieces_.end();
	}

	Pieces pieces_;
	uint64_t longest_ = 0;
};

inline std::vector<uint32_t> LiveMaps::take_tiling(uint64_t begin, uint64_t end)
{
	// Depth first. Whether a tiling can be finished from an address does not depend on how it got
	// there, so an address that failed once is not tried again: linear in the pieces looked at.
	std::vector<Step> steps;
	std::vector<Pieces::const_iterator> tiling;
	std::unordered_set<uint64_t> dead;
	steps.push_back(choices_at(begin, end));
	while (!steps.empty()) {
		Step &step = steps.back();
		if (step.choices.empty()) {
			dead.insert(step.at);
			steps.pop_back();
			if (!tiling.empty())
				tiling.pop_back();
			continue;
		}
		const auto piece = step.choices.back();
		step.choices.pop_back();
		const uint64_t next = piece->second.end;
		if (dead.contains(next))
			continue;
		tiling.push_back(piece);
		if (next == end)
			break;
		steps.push_back(choices_at(next, end));
	}
	std::vector<uint32_t> maps;
	for (const auto piece : tiling) {
		maps.push_back(piece->second.map);
		pieces_.erase(piece);
	}
	return maps;
}

template <typename Took> void LiveMaps::take_parts(uint64_t begin, uint64_t end, Took took)
{
	for (uint64_t at = begin; at < end;) {
		auto found = find_holding(at);
		if (found == pieces_.end()) {
			found = pieces_.lower_bound(at);
			if (found == pieces_.end() || found->first >= end)
				return;
			at = found->first;
		}
		const uint64_t start = found->first;
		const Piece piece = found->second;
		const uint64_t stop = std::min(piece.end, end);
		pieces_.erase(found);
		if (start < at)
			pieces_.emplace(start, Piece{at, piece.map, false});
		if (stop < piece.end)
			pieces_.emplace(stop, Piece{piece.end, piece.map, false});
		took(piece.map, stop - at);
		at = stop;
	}
}

}  // namespace iovad::perf
