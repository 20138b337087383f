// SPDX-License-Identifier: BSD-3-Clause
// The functions that programs inline, compiled as the ones that the library exports: for
// pointers to them, and for other languages.
#define IOVAD_INLINE
#include "iovad/iovad_dma.h"
