// SPDX-License-Identifier: BSD-3-Clause
#include "core/range_tree/instantiate.h"

namespace iovad::core {

const TreeCode kPortableCode = tree_code<PortableKernels>();

}  // namespace iovad::core
