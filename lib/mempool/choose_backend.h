// SPDX-License-Identifier: BSD-3-Clause
// Which backend makes mbufs reachable for the devices that this process has.
#pragma once

#include "iovad/iovad.h"
#include "mempool/settings.h"

namespace iovad::mempool {

// 0 or a negative errno, logged: a NIC would be given addresses that nothing translates
// for it, and write anywhere.
int choose_backend(BackendChoice choice, iovad_backend &out);

}  // namespace iovad::mempool
