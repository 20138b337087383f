// SPDX-License-Identifier: BSD-3-Clause
// Limits of the machine and the process, lowered for the length of a scope.
#pragma once

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace iovad::dma {

// vfio_iommu_type1.dma_entry_limit, which a container takes over when its type is set.
class LowerEntryLimit {
public:
	explicit LowerEntryLimit(unsigned value)
	{
		std::ifstream(kPath) >> before_;
		ok_ = !before_.empty() && write(std::to_string(value));
	}
	~LowerEntryLimit()
	{
		if (ok_)
			write(before_);
	}
	LowerEntryLimit(const LowerEntryLimit &) = delete;
	LowerEntryLimit &operator=(const LowerEntryLimit &) = delete;

	bool ok() const { return ok_; }

private:
	static constexpr const char *kPath = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit";

	static bool write(const std::string &value)
	{
		std::ofstream file(kPath);
		file << value << std::endl;
		return file.good();
	}

	std::string before_;
	bool ok_;
};

// RLIMIT_MEMLOCK, and for this thread no CAP_IPC_LOCK, which would lift it.
class LowerMemlock {
public:
	explicit LowerMemlock(uint64_t bytes)
	{
		getrlimit(RLIMIT_MEMLOCK, &before_);
		rlimit lower = before_;
		lower.rlim_cur = bytes;
		ok_ = bytes <= before_.rlim_max && setrlimit(RLIMIT_MEMLOCK, &lower) == 0 && set_ipc_lock(false);
	}
	~LowerMemlock()
	{
		setrlimit(RLIMIT_MEMLOCK, &before_);
		set_ipc_lock(true);
	}
	LowerMemlock(const LowerMemlock &) = delete;
	LowerMemlock &operator=(const LowerMemlock &) = delete;

	bool ok() const { return ok_; }

private:
	// In the effective set, as far as it is permitted.
	static bool set_ipc_lock(bool on)
	{
		__user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
		__user_cap_data_struct sets[2];
		if (syscall(SYS_capget, &header, sets) != 0)
			return false;
		const uint32_t bit = 1u << CAP_IPC_LOCK;
		sets[0].effective = on ? sets[0].effective | (bit & sets[0].permitted) : sets[0].effective & ~bit;
		return syscall(SYS_capset, &header, sets) == 0;
	}

	rlimit before_;
	bool ok_;
};

}  // namespace iovad::dma
