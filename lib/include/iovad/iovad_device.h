/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026, the iovad authors
 */

/**
 * @file
 * See @ref iovad_device.
 *
 * @defgroup iovad_device Being a device
 * iovad: being a device.
 *
 * For programs that play a device, such as a virtual NIC: they reach memory
 * through the software IOMMU of a domain (IOVAD_BACKEND_SOFT), which lets them reach what is
 * mapped, in the direction in which it is mapped, and nothing else.
 *
 * @code
 *   iovad_device_begin(dev);
 *   void *memory = iovad_device_reach(dev, iova, len, IOVAD_TO_DEVICE, &why);
 *   if (memory)
 *           memcpy(packet, memory, len);
 *   iovad_device_end(dev);
 * @endcode
 *
 * What is unmapped meanwhile stays reachable until iovad_device_end(): a strict unmap waits for it.
 *
 * @{
 */
#ifndef IOVAD_DEVICE_H
#define IOVAD_DEVICE_H

#include <iovad/iovad_dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One queue of a device. */
struct iovad_device;

/** Why an access does not go through. */
enum iovad_fault {
	IOVAD_FAULT_NONE,       /**< it goes through */
	IOVAD_FAULT_NOT_MAPPED, /**< nothing is mapped at the first byte */
	IOVAD_FAULT_NO_READ,    /**< it is mapped, but not for devices to read */
	IOVAD_FAULT_NO_WRITE,   /**< it is mapped, but not for devices to write */
	IOVAD_FAULT_BEYOND,     /**< the address is higher than any that the IOMMU has */
	IOVAD_FAULT_CROSSES,    /**< it begins in mapped memory, and goes on to what is not mapped */
	IOVAD_FAULT_SPLIT,      /**< all of it is mapped, but to several pieces of memory */
};

/**
 * Create one queue of a device, or whatever else does one thing at a time. It is used by one thread at a time. As long as
 * it exists the domain cannot be destroyed. Takes a lock, and waits for an unmap that is under way.
 * @param d domain.
 * @return the device, or NULL with rte_errno: EINVAL d is NULL; ENOTSUP the domain's backend is
 *   not IOVAD_BACKEND_SOFT, or it belongs to another process; ENOMEM.
 */
IOVAD_API struct iovad_device *iovad_device_create(struct iovad_domain *d);

/**
 * Destroy a device. Not to be called between iovad_device_begin() and iovad_device_end(). Takes a lock.
 * @param device NULL: nothing is done.
 */
IOVAD_API void iovad_device_destroy(struct iovad_device *device);

/**
 * What is reached from here on may be used until iovad_device_end(), whoever unmaps it meanwhile. Keep it
 * short, since an unmap waits for the end, and do not unmap inside. Does not nest. Takes no lock.
 * @param device not NULL.
 */
IOVAD_API void iovad_device_begin(struct iovad_device *device);

/**
 * What was reached since iovad_device_begin() is no longer used. Takes no lock.
 * @param device not NULL.
 */
IOVAD_API void iovad_device_end(struct iovad_device *device);

/**
 * Find the memory for an access. Called between iovad_device_begin() and iovad_device_end(). Takes no lock unless it fails.
 * @param device not NULL.
 * @param iova address of the first byte, for devices.
 * @param len bytes; 0 counts as 1.
 * @param dir IOVAD_TO_DEVICE: the device reads; IOVAD_FROM_DEVICE: it writes; or both.
 * @param why the reason, or IOVAD_FAULT_NONE; may be NULL.
 * @return the memory, or NULL: the device must not access it.
 */
IOVAD_API void *iovad_device_reach(struct iovad_device *device, rte_iova_t iova, uint64_t len, uint32_t dir,
				   enum iovad_fault *why);

/** @} */

#ifdef __cplusplus
}
#endif

#endif /* IOVAD_DEVICE_H */
