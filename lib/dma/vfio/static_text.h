// SPDX-License-Identifier: BSD-3-Clause
// Text with numbers in it that lives for ever, as Outcome::advice has to. For numbers that
// are settings of the machine: the few texts they make are kept once each.
#pragma once

#include <string>

namespace iovad::dma {

// The text, kept; once too many different ones were asked for, plain instead.
const char *static_text(const std::string &text, const char *plain);

}  // namespace iovad::dma
