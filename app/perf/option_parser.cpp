// SPDX-License-Identifier: BSD-3-Clause
#include "option_parser.h"

#include <getopt.h>

#include "errors.h"
#include "text.h"

namespace iovad::perf {

std::string OptionParser::parse(int argc, char **argv, bool &help, const char *one) const
{
	constexpr int kHelp = 'h', kFirst = 256;
	std::vector<option> known = {{"help", no_argument, nullptr, kHelp}};
	for (const Option &o : options_)
		known.push_back({o.name, o.has_value ? required_argument : no_argument, nullptr,
				 kFirst + static_cast<int>(&o - options_.data())});
	known.push_back({nullptr, 0, nullptr, 0});
	const auto unknown = [this](const char *word) {
		return UsageError(format("%s does not know '%s'; see '%s --help'", command_, word, invocation_));
	};
	optind = 0;  // glibc: begin anew, whatever was parsed before
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, ":h", known.data(), nullptr)) != -1;) {
		help = c == kHelp;
		if (help)
			return {};
		if (c == ':')
			throw UsageError(format("%s needs a value", argv[optind - 1]));
		if (c < kFirst)
			throw unknown(argv[optind - 1]);
		options_[static_cast<size_t>(c - kFirst)].use(optarg ? optarg : "");
	}
	if (optind == argc)
		return {};
	if (!one)
		throw unknown(argv[optind]);
	if (optind + 1 < argc)
		throw UsageError(format("%s %s; '%s' is one too many", command_, one, argv[optind + 1]));
	return argv[optind];
}

bool parse_backend(std::string_view text)
{
	if (text != "soft" && text != "vfio")
		throw UsageError(format("--backend takes 'soft' or 'vfio', not '%.*s'",
					static_cast<int>(text.size()), text.data()));
	return text == "vfio";
}

void for_each_part(std::string_view list, const std::function<void(std::string_view)> &use)
{
	for (bool more = true; more;) {
		const size_t comma = list.find(',');
		use(list.substr(0, comma));
		more = comma != std::string_view::npos;
		list.remove_prefix(more ? comma + 1 : 0);
	}
}

}  // namespace iovad::perf
