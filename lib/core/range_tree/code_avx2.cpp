// SPDX-License-Identifier: BSD-3-Clause
// Compiled for AVX2, BMI and LZCNT: see lib/meson.build.
#include "core/range_tree/instantiate.h"
#include "core/range_tree/kernels_avx2.h"

namespace iovad::core {

const TreeCode kAvx2Code = tree_code<Avx2Kernels>();

}  // namespace iovad::core
