// SPDX-License-Identifier: BSD-3-Clause
// The kernel's tracing, which is used by reading and writing files. An instance has buffers, events
// and options of its own: whoever else traces sees nothing of it. Everything here throws RunError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace iovad::perf {

// The folder that the kernel's tracing is in: the first of places that can be used. The message says
// what to do where none can: mount it, or be root.
std::string find_tracefs(const std::vector<std::string> &places = {"/sys/kernel/tracing",
								    "/sys/kernel/debug/tracing"});

// Whether the kernel has the events that are recorded.
void need_iommu_events(const std::string &tracefs);

// Whether an IOMMU is on: without one there are no events.
bool has_iommu(const std::string &folder = "/sys/class/iommu");

// The head of the kernel's "trace" file, as that of a recording.
std::string recording_header(const std::string &trace_head);

// Sum of the events lost, by the text of a cpu's "stats" file.
uint64_t lost_by_stats(const std::string &stats);

// An instance that records nothing but iommu:map and iommu:unmap; gone with the object.
class TraceInstance {
public:
	TraceInstance(const std::string &tracefs, unsigned buffer_kib);
	~TraceInstance();
	TraceInstance(const TraceInstance &) = delete;
	TraceInstance &operator=(const TraceInstance &) = delete;

	const std::string &header() const { return header_; }
	void start() const;
	void stop() const;
	// Takes text out of the buffers; 0 where they are empty.
	size_t read(char *out, size_t size) const;
	// Events that the buffers had no room for, of all cpus.
	uint64_t lost() const;

private:
	void set_up(unsigned buffer_kib);
	void remove();

	std::string path_;
	std::string header_;
	int pipe_ = -1;
};

}  // namespace iovad::perf
