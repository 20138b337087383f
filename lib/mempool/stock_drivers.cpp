// SPDX-License-Identifier: BSD-3-Clause
#include "mempool/stock_drivers.h"

#include <string>
#include <string_view>

#include <dirent.h>
#include <dlfcn.h>

#include <rte_build_config.h>

#include "mempool/log.h"

namespace iovad::mempool {

namespace {

// As EAL chooses files of a plugin folder.
bool is_library(std::string_view name)
{
	const size_t dot_so = name.rfind(".so");
	return dot_so != name.npos && (dot_so + 3 == name.size() || name[dot_so + 3] == '.') && name[0] != '.';
}

}  // namespace

void load_stock_drivers()
{
	DIR *folder = opendir(RTE_EAL_PMD_PATH);
	if (!folder)  // DPDK keeps its drivers elsewhere, or has linked them
		return;
	while (const dirent *entry = readdir(folder)) {
		if (!is_library(entry->d_name))
			continue;
		const std::string path = std::string(RTE_EAL_PMD_PATH) + "/" + entry->d_name;
		if (!dlopen(path.c_str(), RTLD_NOW))
			MEMPOOL_LOG(DEBUG, "%s: %s", path.c_str(), dlerror());
	}
	closedir(folder);
}

}  // namespace iovad::mempool
