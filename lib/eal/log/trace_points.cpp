// SPDX-License-Identifier: BSD-3-Clause
#define ALLOW_EXPERIMENTAL_API
#include "eal/log/trace_points.h"

#include "eal/log/trace_point_list.h"

namespace iovad::eal::trace {

void domain_create(const char *domain, uint64_t first, uint64_t last)
{
	point::iovad_domain_create(domain, first, last);
}

void domain_destroy(const char *domain) { point::iovad_domain_destroy(domain); }

void map(const char *domain, const void *va, uint64_t len, uint64_t iova, int error)
{
	point::iovad_map(domain, va, len, iova, error);
}

void unmap(const char *domain, uint64_t iova, uint64_t len, int error)
{
	point::iovad_unmap(domain, iova, len, error);
}

void region_add(const char *domain, const void *va, uint64_t len, uint64_t iova, int error)
{
	point::iovad_region_add(domain, va, len, iova, error);
}

void region_remove(const char *domain, const void *va, uint64_t len, int error)
{
	point::iovad_region_remove(domain, va, len, error);
}

void control_pass(uint32_t items, uint64_t ns) { point::iovad_control_pass(items, ns); }

void retire(const char *domain, uint32_t ranges, uint32_t calls, uint64_t bytes)
{
	point::iovad_retire(domain, ranges, calls, bytes);
}

void quarantine(const char *domain, uint64_t iova, uint64_t len, uint32_t tries)
{
	point::iovad_quarantine(domain, iova, len, tries);
}

void reclaim(const char *domain, uint64_t number, int error) { point::iovad_reclaim(domain, number, error); }

}  // namespace iovad::eal::trace
