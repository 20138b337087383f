// SPDX-License-Identifier: BSD-3-Clause
// A worker of the process that created the domain: it also maps memory, for single buffers and as regions, and
// copies through bounce pools, and looks as a device whether what it wrote is there.
#pragma once

#include <memory>
#include <vector>

#include <iovad/iovad_bounce.h>
#include <iovad/iovad_device.h>

#include "measure/memory.h"
#include "soak/worker.h"

namespace iovad::perf {

class MappingWorker : public Worker {
public:
	// faults: calls of the IOMMU may fail.
	MappingWorker(iovad_domain *domain, Board &board, unsigned seat, const std::vector<iovad_bounce_pool *> &pools,
		      bool faults);

	void give_back() noexcept override;
	// While all stand still and nothing is deferred: that each mapping leads where it should. settled: nor is
	// anything in quarantine.
	void check(bool settled) noexcept;

private:
	// Memory for one mapping at a time.
	struct Slot {
		char *va;
		uint64_t size;
		bool used;
		bool may_linger;  // devices may still reach it through what was unmapped lazily, or could not be
	};
	struct Bounced {
		uint64_t len, seed;
		uint32_t dir;
		uint64_t iova;
		std::vector<char> memory;
	};

	void step() override;
	void release(Holding &h) override;
	void map();
	void add_region();
	void map_in_region(const Holding &region);
	void bounce();
	void unbounce(size_t i);
	Slot *free_slot(size_t first, size_t end);
	void *reach(uint64_t iova, uint64_t len, uint32_t dir);
	bool leads_to(uint64_t iova, const void *va, uint64_t len, uint32_t dir);
	void stamp(const Holding &h);
	void check(const Holding &h);
	bool holds_stamp(const Holding &h, uint64_t offset);
	template <class Use> bool for_each_piece(const Bounced &b, uint32_t dir, Use use);
	bool write_as_device(const Bounced &b, uint64_t seed);
	bool seen_by_device(const Bounced &b);

	const unsigned faults_;  // what calls of the IOMMU may do: meet_fault, or nothing
	const std::vector<iovad_bounce_pool *> &pools_;
	Memory memory_;
	struct DestroyDevice {
		void operator()(iovad_device *device) const { iovad_device_destroy(device); }
	};
	const std::unique_ptr<iovad_device, DestroyDevice> device_;
	std::vector<Slot> slots_;
	std::vector<std::pair<iovad_bounce_pool *, Bounced>> bounced_;
};

}  // namespace iovad::perf
