// SPDX-License-Identifier: BSD-3-Clause
// Translations through VFIO's type1 driver: the ioctls of a container that somebody else
// opened, attached devices to and set to VFIO_TYPE1_IOMMU or VFIO_TYPE1v2_IOMMU (EAL, say).
// Others may map in the same container; ranges only have to be apart.
//
// A call is one system call; only after a failure there are more, to find out what was hit.
// No state but the file descriptor: any thread may call, and after fork() both processes (but
// before Linux 6.0 only the process that made a mapping can remove it).
#pragma once

#include <memory>

#include "dma/backend.h"
#include "dma/vfio/type1_errors.h"

namespace iovad::dma {

enum class FdOwner { caller, backend };

// ioctl(2), or in tests something in its place: -1 and errno where it fails.
struct IoctlSource {
	int (*call)(void *context, int fd, unsigned long request, uintptr_t argument);
	void *context;

	static IoctlSource kernel();
};

class VfioType1 final : public Backend {
public:
	// With FdOwner::backend the descriptor is closed at the end; not if this call fails.
	static Outcome open(int container_fd, FdOwner owner, std::unique_ptr<VfioType1> &out,
			    IoctlSource source = IoctlSource::kernel());
	~VfioType1() override;

	const char *name() const override { return "vfio"; }
	bool pins_memory() const override { return true; }
	Outcome info(Info &out) override;
	Outcome map(uint64_t iova, void *va, uint64_t len, uint32_t dir) override;
	// One call, in which the kernel removes mapping after mapping; it also sees to flushes.
	// Success of the kernel is not enough: the size it reports, the sum of what it removed,
	// must be the one asked for. ok also where nothing is mapped any more: mappings end with
	// the last device, and those of a run that failed may be gone.
	// invalid: an end of the range cuts a mapping, and version 2 refused. not_found: nothing
	// was unmapped, and something is there. failed: more or less than `mapped` was. Both
	// versions remove all that lies in the range; version 1 nothing where a mapping begins
	// before it, and the whole of one that goes on behind it. If that is as long there as
	// what is missing in the range, the sum is right and nobody notices.
	Outcome unmap(uint64_t iova, uint64_t len, uint64_t mapped) override;
	using Backend::unmap;

private:
	VfioType1(int fd, IoctlSource source) : fd_(fd), source_(source) {}
	VfioType1(const VfioType1 &) = delete;
	VfioType1 &operator=(const VfioType1 &) = delete;

	int try_call(unsigned long request, uintptr_t argument);
	template <class T> int call(unsigned long request, T &argument);
	Outcome check_container();
	bool nothing_at(uint64_t iova, uint64_t len);
	Placement place(uint64_t iova, uint64_t va, uint64_t len);

	const int fd_;
	bool owned_ = false;
	const IoctlSource source_;
};

}  // namespace iovad::dma
