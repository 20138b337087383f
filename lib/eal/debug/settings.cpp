// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/settings.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "eal/log/log.h"

namespace iovad::eal::debug {

namespace {

constexpr char kVariable[] = "IOVAD_DEBUG";

// "key=NUMBER", a decimal one up to most.
bool read_number(std::string_view word, std::string_view key, uint32_t most, uint32_t &out)
{
	if (!word.starts_with(key))
		return false;
	const char *end = word.data() + word.size();
	uint32_t number;
	const auto [stop, error] = std::from_chars(word.data() + key.size(), end, number);
	if (stop != end || error != std::errc() || number > most)
		return false;
	out = number;
	return true;
}

bool apply_word(std::string_view word, Settings &s)
{
	if (word == "on")
		return s.on = true;
	if (word == "fatal")
		return s.fatal = true;
	return read_number(word, "history=", Settings::kMostHistory, s.history) ||
	       read_number(word, "quarantine=", Settings::kMostQuarantine, s.quarantine);
}

}  // namespace

int Settings::read()
{
	const char *text = std::getenv(kVariable);
	return text && *text ? apply(text) : 0;
}

int Settings::apply(const char *text)
{
	std::string_view rest = text;
	for (bool more = true; more;) {
		const size_t comma = rest.find(',');
		const std::string_view word = rest.substr(0, comma);
		if (!apply_word(word, *this)) {
			IOVAD_LOG(ERR, "%s=%s: '%.*s' is unknown; possible are, comma-separated: on, fatal, history=RANGES (0 to %u), "
				  "quarantine=RANGES (0 to %u)", kVariable, text, static_cast<int>(word.size()), word.data(),
				  kMostHistory, kMostQuarantine);
			return EINVAL;
		}
		more = comma != rest.npos;
		rest.remove_prefix(more ? comma + 1 : rest.size());
	}
	return 0;
}

}  // namespace iovad::eal::debug
