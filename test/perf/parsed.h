// SPDX-License-Identifier: BSD-3-Clause
// The arguments of a sub-command as words, and what it says of bad ones.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "errors.h"

namespace iovad::perf::test {

template <class Options> struct Parser {
	const char *command;
	Options (*parse)(int argc, char **argv);

	Options operator()(std::initializer_list<std::string> arguments) const
	{
		std::vector<std::string> words = {command};
		words.insert(words.end(), arguments);
		std::vector<char *> argv;
		for (std::string &word : words)
			argv.push_back(word.data());
		argv.push_back(nullptr);
		return parse(static_cast<int>(words.size()), argv.data());
	}

	std::string error_of(std::initializer_list<std::string> arguments) const
	{
		try {
			(*this)(arguments);
		} catch (const UsageError &error) {
			return error.what();
		}
		return "no error";
	}
};

}  // namespace iovad::perf::test
