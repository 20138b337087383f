// SPDX-License-Identifier: BSD-3-Clause
// The command line of one sub-command: getopt_long() with what iovad-perf says of bad arguments.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "parse_count.h"

namespace iovad::perf {

class OptionParser {
public:
	// invocation: how help is asked for, without --help. Both stay.
	OptionParser(const char *command, const char *invocation) : command_(command), invocation_(invocation) {}

	// Options without a value, and with one; where they are given twice the last one counts.
	OptionParser &flag(const char *name, bool &out)
	{
		options_.push_back({name, false, [&out](std::string_view) { out = true; }});
		return *this;
	}
	OptionParser &value(const char *name, std::function<void(std::string_view)> use)
	{
		options_.push_back({name, true, std::move(use)});
		return *this;
	}
	OptionParser &text(const char *name, std::string &out)
	{
		return value(name, [&out](std::string_view text) { out = text; });
	}
	template <class Number> OptionParser &count(const char *name, Number &out, unsigned max, unsigned min = 1)
	{
		return value(name, [=, &out](std::string_view text) {
			out = parse_count((std::string("--") + name).c_str(), text, max, min);
		});
	}

	// help: --help was given, and what follows it was not looked at. Returns the word that is no option;
	// empty: none. one: what the command does with it, as "takes one trace"; null: it takes none.
	// argv[0] is the command; argv is reordered. Throws UsageError.
	std::string parse(int argc, char **argv, bool &help, const char *one = nullptr) const;

private:
	struct Option {
		const char *name;
		bool has_value;
		std::function<void(std::string_view)> use;
	};

	const char *const command_, *const invocation_;
	std::vector<Option> options_;
};

// Whether --backend is 'vfio', or 'soft'. Throws UsageError.
bool parse_backend(std::string_view text);

// use() on each part of a list with commas.
void for_each_part(std::string_view list, const std::function<void(std::string_view)> &use);

}  // namespace iovad::perf
