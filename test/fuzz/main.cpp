// SPDX-License-Identifier: BSD-3-Clause
// The beginning of the targets that need no EAL.
#include "fuzz.h"

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
	iovad::fuzz::throw_on_failure();
	return 0;
}
