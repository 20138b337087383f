// SPDX-License-Identifier: BSD-3-Clause
// Memory that a device is to reach has to be there. A backend that pins pages faults them in
// one after the other, in one system call; several threads do it first, side by side.
#pragma once

#include <cstdint>

#include <sched.h>

namespace iovad::dma {

cpu_set_t every_cpu();

// Faults in whatever of [va, va + len) is not there, as the program's own memory that it can
// write without getting another page; where it may only be read and devices do not write,
// for reading.
// 0, or the errno: EFAULT or ENOMEM where there is no such memory. Memory that cannot be
// prefaulted, or a kernel before 5.14, is not an error: whoever pins it will see.
// helpers: the CPUs on which threads may help the caller; leave out those of busy lcores.
int prefault(const void *va, uint64_t len, bool device_writes, const cpu_set_t &helpers);

}  // namespace iovad::dma
