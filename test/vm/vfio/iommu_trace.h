// SPDX-License-Identifier: BSD-3-Clause
// What the kernel says that it did to the IOMMU's page table, by its iommu:map and
// iommu:unmap events, and the table that this makes: a witness that knows neither iovad
// nor EAL. One page table at a time is taken to change.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace iovad::test {

class IommuTrace {
public:
	struct Entry {
		uint64_t iova, physical, len;
	};

	// Begins. Not usable, with the reason in why(), where the kernel has no such events.
	IommuTrace();
	~IommuTrace();
	IommuTrace(const IommuTrace &) = delete;
	IommuTrace &operator=(const IommuTrace &) = delete;

	const std::string &why() const { return why_; }

	// Takes up what happened since the last time; returns what was mapped.
	std::vector<Entry> catch_up();
	// What contradicts a page table: a mapping where there was one, an end of what was none,
	// events that were lost. Empty: nothing does.
	const std::string &wrong() const { return wrong_; }
	uint64_t maps() const { return maps_; }

	// Whether devices reach exactly this process's memory there; else what they do.
	std::string reaches(uint64_t iova, const void *va, uint64_t len) const;
	// Whether anything is mapped in [iova, iova + len).
	bool maps_any(uint64_t iova, uint64_t len) const;
	size_t size() const { return table_.size(); }

private:
	void take(const std::string &line, std::vector<Entry> &mapped);
	void map(const Entry &entry);
	void unmap(uint64_t iova, uint64_t len);
	void object(const std::string &what);

	std::string folder_, why_, rest_, wrong_;
	int pipe_ = -1;
	uint64_t maps_ = 0;
	std::map<uint64_t, Entry> table_;  // by IOVA, disjoint
};

}  // namespace iovad::test
