// SPDX-License-Identifier: BSD-3-Clause
// /iovad/debug: what debug mode found in a domain, by kind, and the latest reports.
#include <string>

#include "eal/telemetry/telemetry.h"

namespace iovad::eal {

void tell_debug(iovad_domain &d, Answer &answer)
{
	answer.number("on", d.checker != nullptr);
	if (!d.checker)
		return;
	const debug::Findings &findings = d.checker->findings();
	const debug::Ledger::Sizes sizes = d.checker->ledger().sizes();
	answer.number("fatal", findings.fatal());
	for (unsigned i = 0; i < debug::kFindings; ++i) {
		const auto finding = static_cast<debug::Finding>(i);
		answer.number(debug::key_of(finding), findings.counted(finding));
	}
	answer.number("live", sizes.live);
	answer.number("ended", sizes.ended);
	answer.number("forgotten", sizes.forgotten);
	answer.number("lost", sizes.lost);
	answer.texts("last", [&findings](auto add) {
		for (const std::string &line : findings.last())
			add(fit_telemetry(line).c_str());
	});
}

}  // namespace iovad::eal
