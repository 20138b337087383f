/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_control.
 *
 * @defgroup iovad_control The control lcore
 * iovad: the control lcore. What may block, or takes long, happens here and never on
 * an lcore of the data path:
 * - unmapping what was unmapped lazily, in runs, and giving its addresses back;
 * - trying again what could not be unmapped;
 * - giving the tree more nodes before it runs out of them;
 * - trimming the depot to what lcores exchange, and sizing magazines;
 * - growing and shrinking bounce pools (iovad_bounce.h), with what their hooks do, and keeping memory ready for them.
 *
 * There are three ways to run it, as the application prefers: a thread of iovad's own, a
 * DPDK service on a service lcore, or a call in a loop of the application's. If several
 * are started, one works at a time. It serves the domains that this process created.
 *
 * Where none runs nothing is lost: lazy unmapping becomes strict, in the caller, once the
 * last pass is older than four times lazy_max_age_us (at least 100 ms) and the lcore has deferred
 * the 128 granules that it may defer before it looks. That is logged, and visible in telemetry
 * (/iovad/control). What an lcore had deferred stays deferred until then, or until iovad_flush(), the
 * domain's end, or the next pass. So stop by iovad_control_thread_stop(), which leaves nothing deferred
 * but what is unmapped while it runs.
 *
 * A thread that still runs when the program ends is stopped by the library. But rte_eal_cleanup()
 * takes the memory of domains away, which cannot be noticed in time: before it, stop the thread and
 * all other loops that make passes.
 *
 * @{
 */
#ifndef IOVAD_CONTROL_H
#define IOVAD_CONTROL_H

#include <iovad/iovad.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Make one bounded pass over all domains of this process. Any thread; may block.
 * Call it at least every lazy_max_age_us / 4 of the domain where that is shortest. What was
 * unmapped lazily is held back until it has waited for that long, or until half of
 * lazy_max_bytes is deferred, and is then unmapped with its neighbours. iovad_flush() unmaps all at once.
 * @return how much was done: ranges unmapped, magazines trimmed, chunks of nodes added, chunks (2 MiB) of
 *   bounce pools that came or went; 0 also where another pass is running.
 */
IOVAD_API int iovad_control_poll(void);

/**
 * Register the DPDK service "iovad_control" and make it ready to run. The application
 * then maps it to a service lcore (rte_service_map_lcore_set()) that it started. Another
 * call gives the same id. Primary process only.
 * @param service_id its id, for rte_service_*().
 * @return 0; -EINVAL service_id is NULL; -ENOTSUP in a secondary process; what
 *   rte_service_component_register() says.
 */
IOVAD_API int iovad_control_service(uint32_t *service_id);

/**
 * Start a thread, on CPUs where no lcore runs if there are any, that makes passes as
 * often as the domains need.
 * @return 0; -EALREADY it runs; -ENOTSUP in a secondary process; -EAGAIN no thread can be made.
 */
IOVAD_API int iovad_control_thread_start(void);

/**
 * Stop it after a last pass that leaves nothing deferred but what is unmapped while it
 * runs. May block. Unless the service runs, lazy unmapping is strict from now on.
 * @return 0; -EALREADY none runs.
 */
IOVAD_API int iovad_control_thread_stop(void);

/**
 * Return when nothing that was freed or unmapped before the call is still deferred. Any
 * thread, whether a control lcore runs or not; may block.
 * @param d domain.
 * @return 0; -EINVAL d is NULL; -ENOTSUP the domain belongs to another process;
 *   -EIO some range could not be unmapped: it is in quarantine.
 */
IOVAD_API int iovad_flush(struct iovad_domain *d);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_CONTROL_H */
