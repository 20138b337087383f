// SPDX-License-Identifier: BSD-3-Clause
#include "core/range_tree/kernels_avx2.h"
#include "tree_kernels.h"

namespace iovad::core {

const NodeKernels kAvx2Kernels = node_kernels<Avx2Kernels>(Isa::avx2);

}  // namespace iovad::core
