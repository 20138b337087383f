// SPDX-License-Identifier: BSD-3-Clause
// The one table from what the core says to what C callers get.
#pragma once

#include <cerrno>

#include "core/status.h"

namespace iovad::eal {

constexpr int negative_errno(core::Status status)
{
	switch (status) {
	case core::Status::ok: return 0;
	case core::Status::invalid: return -EINVAL;
	case core::Status::no_space: return -ENOSPC;
	case core::Status::again: return -EAGAIN;
	case core::Status::not_found: return -ENOENT;
	case core::Status::exists: return -EEXIST;
	case core::Status::no_memory: return -ENOMEM;
	case core::Status::bad_memory: return -EFAULT;
	case core::Status::denied: return -EPERM;
	case core::Status::not_supported: return -ENOTSUP;
	case core::Status::busy: return -EBUSY;
	case core::Status::failed: return -EIO;
	}
	return -EINVAL;
}

}  // namespace iovad::eal
