// SPDX-License-Identifier: BSD-3-Clause
#include "iommu_trace.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include <rte_memory.h>

namespace iovad::test {

namespace {

constexpr uint64_t kPage = 4096;
constexpr const char *kTracing = "/sys/kernel/tracing";

bool write(const std::string &path, const char *text)
{
	std::ofstream file(path);
	file << text << std::endl;
	return file.good();
}

std::string range(uint64_t iova, uint64_t len)
{
	char text[64];
	std::snprintf(text, sizeof text, "0x%" PRIx64 " - 0x%" PRIx64, iova, iova + len - 1);
	return text;
}

}  // namespace

// An instance of the tracer of our own. The clock counts: that of each CPU would not tell
// what came first on two of them.
IommuTrace::IommuTrace() : folder_(std::string(kTracing) + "/instances/iovad-test-" + std::to_string(getpid()))
{
	std::error_code error;
	if (!std::filesystem::create_directory(folder_, error)) {
		why_ = "no iommu events: " + folder_ + ": " + error.message();
		return;
	}
	if (!write(folder_ + "/trace_clock", "counter") || !write(folder_ + "/buffer_size_kb", "16384") ||
	    !write(folder_ + "/events/iommu/map/enable", "1") || !write(folder_ + "/events/iommu/unmap/enable", "1"))
		why_ = "no iommu events in " + folder_;
	pipe_ = open((folder_ + "/trace_pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

IommuTrace::~IommuTrace()
{
	if (pipe_ >= 0)
		close(pipe_);
	std::error_code ignored;
	std::filesystem::remove(folder_, ignored);
}

std::vector<IommuTrace::Entry> IommuTrace::catch_up()
{
	std::vector<Entry> mapped;
	static char buffer[65536];
	for (ssize_t n; (n = read(pipe_, buffer, sizeof buffer)) > 0;) {
		rest_.append(buffer, static_cast<size_t>(n));
		size_t from = 0;
		for (size_t end; (end = rest_.find('\n', from)) != std::string::npos; from = end + 1)
			take(rest_.substr(from, end - from), mapped);
		rest_.erase(0, from);
	}
	return mapped;
}

void IommuTrace::take(const std::string &line, std::vector<Entry> &mapped)
{
	uint64_t first, end, third, fourth;
	if (line.find("LOST") != std::string::npos)
		object("events were lost: " + line);
	if (const size_t at = line.find(" unmap: IOMMU:"); at != std::string::npos) {
		if (std::sscanf(line.c_str() + at, " unmap: IOMMU: iova=%" SCNx64 " - %" SCNx64 " size=%" SCNu64
				" unmapped_size=%" SCNu64, &first, &end, &third, &fourth) == 4)
			unmap(first, fourth);
		else
			object("not understood: " + line);
	} else if (const size_t map_at = line.find(" map: IOMMU:"); map_at != std::string::npos) {
		if (std::sscanf(line.c_str() + map_at, " map: IOMMU: iova=%" SCNx64 " - %" SCNx64 " paddr=%" SCNx64
				" size=%" SCNu64, &first, &end, &third, &fourth) == 4) {
			mapped.push_back({first, third, fourth});
			map(mapped.back());
		} else {
			object("not understood: " + line);
		}
	}
}

void IommuTrace::object(const std::string &what)
{
	if (wrong_.size() < 2000)
		wrong_ += what + '\n';
}

bool IommuTrace::maps_any(uint64_t iova, uint64_t len) const
{
	const auto next = table_.lower_bound(iova);
	if (next != table_.end() && next->first < iova + len)
		return true;
	return next != table_.begin() && std::prev(next)->second.iova + std::prev(next)->second.len > iova;
}

void IommuTrace::map(const Entry &entry)
{
	++maps_;
	if (maps_any(entry.iova, entry.len)) {
		object("mapped where something was: " + range(entry.iova, entry.len));
		unmap(entry.iova, entry.len);
	}
	table_.emplace(entry.iova, entry);
}

// It may take several entries, and parts of them.
void IommuTrace::unmap(uint64_t iova, uint64_t len)
{
	const uint64_t end = iova + len;
	uint64_t covered = 0;
	auto at = table_.upper_bound(iova);
	if (at != table_.begin())
		--at;
	while (at != table_.end() && at->first < end) {
		const Entry e = at->second;
		const uint64_t first = std::max(e.iova, iova), last = std::min(e.iova + e.len, end);
		if (first >= last) {
			++at;
			continue;
		}
		at = table_.erase(at);
		if (e.iova < first)
			table_.emplace(e.iova, Entry{e.iova, e.physical, first - e.iova});
		if (last < e.iova + e.len)
			at = table_.emplace(last, Entry{last, e.physical + (last - e.iova), e.iova + e.len - last}).first;
		covered += last - first;
	}
	if (covered != len)
		object("unmapped what was not mapped: " + range(iova, len));
}

std::string IommuTrace::reaches(uint64_t iova, const void *va, uint64_t len) const
{
	const char *memory = static_cast<const char *>(va) - iova % kPage;
	uint64_t page = iova - iova % kPage;
	for (; page < iova + len; page += kPage, memory += kPage) {
		const auto next = table_.upper_bound(page);
		if (next == table_.begin() || std::prev(next)->second.iova + std::prev(next)->second.len <= page)
			return "nothing is mapped at " + range(page, kPage);
		const Entry &e = std::prev(next)->second;
		const uint64_t is = e.physical + (page - e.iova), should = rte_mem_virt2phy(memory);
		if (is != should)
			return range(page, kPage) + " is at physical " + range(is, kPage) + " instead of " + range(should, kPage);
	}
	return "";
}

}  // namespace iovad::test
