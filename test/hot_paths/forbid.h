/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IOVAD_TEST_FORBID_H
#define IOVAD_TEST_FORBID_H

/* By each function that allocates, before it does. */
void forbid_allocation(const char *function);

#endif /* IOVAD_TEST_FORBID_H */
