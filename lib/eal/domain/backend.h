// SPDX-License-Identifier: BSD-3-Clause
// Opens what a domain's conf names as its backend.
#pragma once

#include <memory>

#include "dma/backend.h"
#include "iovad/iovad.h"

namespace iovad::eal {

struct OpenBackend {
	std::unique_ptr<dma::Backend> backend;  // null with IOVAD_BACKEND_NONE
	dma::Info info;
	int container_fd = -1;  // VFIO
	bool of_eal = false;  // it is EAL's default container: EAL maps in it too
};

// 0 or an errno, logged.
int open_backend(const iovad_domain_conf &conf, OpenBackend &out);

}  // namespace iovad::eal
