// SPDX-License-Identifier: BSD-3-Clause
// A mempool names its driver by an index that counts registrations. EAL loads -d libraries
// before its own, so that a driver that simply registered would move all others by one, and
// a secondary process without it would use the wrong one for every pool, silently. Therefore
// EAL's own drivers are loaded first, in the order in which EAL would. They then have the
// same indexes in all processes, ours comes after them, and a process without it finds no
// driver there: it stops at the first access.
#pragma once

namespace iovad::mempool {

void load_stock_drivers();

}  // namespace iovad::mempool
