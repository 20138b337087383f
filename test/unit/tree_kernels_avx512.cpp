// SPDX-License-Identifier: BSD-3-Clause
#include "core/range_tree/kernels_avx512.h"
#include "tree_kernels.h"

namespace iovad::core {

const NodeKernels kAvx512Kernels = node_kernels<Avx512Kernels>(Isa::avx512);

}  // namespace iovad::core
