// SPDX-License-Identifier: BSD-3-Clause
// Reads the answer to VFIO_IOMMU_GET_INFO: a fixed part, and behind it a chain of
// capabilities, each with the offset of the next one. Pure: bytes in, Info out. The bytes
// may be anything (it is fuzzed): nothing outside of them is read, and chains that loop end.
//
// What an answer does not say:
// - no page sizes: the CPU's page, which is what type1 pins by.
// - no valid ranges (kernels before 5.4; containers that hold only mediated devices): 39
//   bits, the narrowest aperture in use, without the places where x86 and Arm keep their
//   message-signalled interrupts. Those kernels accept a mapping there, and then interrupts
//   are lost or memory is written by them.
// - no budget of mappings (kernels before 5.10, and iommufd posing as VFIO): unlimited.
#pragma once

#include <span>

#include "dma/backend.h"

namespace iovad::dma {

// failed: not understood; out is unchanged. Capabilities of unknown kind or version are
// skipped; of two of a kind the first counts.
Outcome parse_type1_info(std::span<const std::byte> answer, Info &out);

}  // namespace iovad::dma
