// SPDX-License-Identifier: BSD-3-Clause
#include "eal/domain/backend.h"

#include <cerrno>
#include <new>

#include <rte_vfio.h>

#include "dma/soft/soft_iommu.h"
#include "dma/vfio/vfio_type1.h"
#include "eal/log/log.h"
#include "eal/log/outcome.h"

namespace iovad::eal {

namespace {

int open_vfio(const iovad_domain_conf &conf, OpenBackend &out)
{
	const int of_eal = rte_vfio_get_container_fd();
	const int fd = conf.container_fd >= 0 ? conf.container_fd : of_eal;
	if (fd < 0) {
		IOVAD_LOG(ERR, "%s: EAL has no VFIO container: load vfio-pci, bind a device to it before EAL "
			  "starts, and do not run with --no-pci; or give a container_fd", conf.name);
		return ENODEV;
	}
	std::unique_ptr<dma::VfioType1> vfio;
	if (const dma::Outcome o = dma::VfioType1::open(fd, dma::FdOwner::caller, vfio); !o.ok())
		return log_outcome(conf.name, "the VFIO container cannot be used", o);
	out.container_fd = fd;
	out.of_eal = fd == of_eal;
	out.backend = std::move(vfio);
	return 0;
}

int open_soft(const iovad_domain_conf &conf, OpenBackend &out)
{
	std::unique_ptr<dma::SoftIommu> soft;
	if (const dma::Outcome o = dma::SoftIommu::create(dma::SoftConfig{}, soft); !o.ok())
		return log_outcome(conf.name, "there is no software IOMMU", o);
	out.backend = std::move(soft);
	return 0;
}

}  // namespace

int open_backend(const iovad_domain_conf &conf, OpenBackend &out)
try {
	switch (conf.backend) {
	case IOVAD_BACKEND_NONE:
		return 0;
	case IOVAD_BACKEND_SOFT:
		if (const int error = open_soft(conf, out))
			return error;
		break;
	case IOVAD_BACKEND_VFIO:
		if (const int error = open_vfio(conf, out))
			return error;
		break;
	}
	if (const dma::Outcome o = out.backend->info(out.info); !o.ok())
		return log_outcome(conf.name, "the backend does not say what it can address", o);
	return 0;
} catch (const std::bad_alloc &) {
	return ENOMEM;
}

}  // namespace iovad::eal
