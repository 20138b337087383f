// SPDX-License-Identifier: BSD-3-Clause
// A user's configuration of a bounce pool, checked and completed.
#pragma once

#include <cstdint>

#include "iovad/iovad_bounce.h"

namespace iovad::eal {

inline constexpr uint64_t kBounceChunk = uint64_t{1} << 21;

struct BounceSize {
	uint64_t initial, most;  // chunks
};
// 0 or an errno, and the reason in the log.
int check_bounce_conf(const iovad_bounce_conf &conf, BounceSize &size);

}  // namespace iovad::eal
