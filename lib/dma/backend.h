// SPDX-License-Identifier: BSD-3-Clause
// The seam to whatever translates addresses for devices: VFIO, the software IOMMU, and in
// tests one of them with failures injected. Off the hot path: calls may block and may make
// system calls. Any thread may call, for ranges that no other call is about at that time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"

namespace iovad::dma {

using core::Status;

// As IOVAD_TO_DEVICE and its kin.
enum Direction : uint32_t { kToDevice = 1, kFromDevice = 2, kBidirectional = 3 };

// How a call ended. The layer above logs it: it knows the domain's name.
struct Outcome {
	Status status = Status::ok;
	int error = 0;            // errno, where the system said one
	const char *advice = "";  // what was hit and what to do about it; static text

	bool ok() const { return status == Status::ok; }
};

// Bytes, both inclusive.
struct Span {
	uint64_t first, last;
};

struct Info {
	static constexpr uint64_t kUnlimited = ~uint64_t{0};

	uint64_t page_sizes = 0;              // a bit for each size a translation can have
	uint64_t mappings_left = kUnlimited;  // how many more can exist at once
	std::vector<Span> valid;              // what devices can address, ascending, disjoint
};

class Backend {
public:
	virtual ~Backend() = default;

	virtual const char *name() const = 0;

	// Whether mapped memory has to be there: map() faults it in, and pins it.
	virtual bool pins_memory() const { return false; }

	// Asked anew each time: it changes when a device joins.
	virtual Outcome info(Info &out) = 0;

	// Devices that use iova .. iova + len - 1 reach va .. va + len - 1. All are multiples of
	// the smallest page size. All or nothing. exists: part of it is mapped already.
	// no_space: no more mappings may exist. no_memory: no memory, or no more may be locked.
	virtual Outcome map(uint64_t iova, void *va, uint64_t len, uint32_t dir) = 0;

	// A run: exactly what one or several map() gave, `mapped` bytes, and holes between them in
	// which nothing is mapped and nobody maps meanwhile. ok: no device reaches any of it any
	// more. Without, any mapping of the run may be reachable and any may be gone, and the
	// caller asks again for each by itself; only ok says that one is gone. So a backend that
	// can remove a run in part answers ok for what it has removed. not_found: nothing of it
	// was removed by this call, which proves nothing.
	//
	// What is no run is refused, or failed: then translations were removed.
	virtual Outcome unmap(uint64_t iova, uint64_t len, uint64_t mapped) = 0;
	// Without holes.
	Outcome unmap(uint64_t iova, uint64_t len) { return unmap(iova, len, len); }

	// Several runs, with as few invalidations as the backend can. The first `runs` of them are gone,
	// and `why` says what became of the next.
	struct Run {
		uint64_t iova, len, mapped;
	};
	struct Unmapped {
		size_t runs = 0;
		unsigned calls = 0;  // of unmap(), or what stands for several of them, that succeeded
		Outcome why = {};
	};
	virtual Unmapped unmap_runs(std::span<const Run> runs)
	{
		Unmapped done;
		for (const Run &run : runs) {
			done.why = unmap(run.iova, run.len, run.mapped);
			if (!done.why.ok())
				break;
			++done.runs;
			++done.calls;
		}
		return done;
	}
};

}  // namespace iovad::dma
