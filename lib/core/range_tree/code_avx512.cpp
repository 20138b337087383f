// SPDX-License-Identifier: BSD-3-Clause
// Compiled for AVX-512 F, CD, BW, VL, DQ: see lib/meson.build.
#include "core/range_tree/instantiate.h"
#include "core/range_tree/kernels_avx512.h"

namespace iovad::core {

const TreeCode kAvx512Code = tree_code<Avx512Kernels>();

}  // namespace iovad::core
