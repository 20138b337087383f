// SPDX-License-Identifier: BSD-3-Clause
// Compiled once for a folder of tests: half of what each of them takes. No more is here, since what is
// would not be missed where a test forgets to include it.
#include <gtest/gtest.h>
