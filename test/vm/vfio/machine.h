// SPDX-License-Identifier: BSD-3-Clause
// What the tests with real VFIO share: whether there is any, the kernel's witness, memory,
// and what the log says.
//
// IOVAD_TEST_EAL_ARGS names the devices: "-a 0000:00:03.0 -a 0000:00:04.0".
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <sys/mman.h>

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_log.h>
#include <rte_memory.h>
#include <rte_vfio.h>

#include "dma/vfio/vfio_type1.h"
#include "eal/test_domain.h"
#include "iommu_trace.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {

inline constexpr uint64_t kMiB = uint64_t{1} << 20, k2MiB = 2 * kMiB;
// Below 4 GiB, where the machine has no RAM and no hole.
inline constexpr uint64_t kLow = 0xc0000000;

// Since before EAL began.
extern std::unique_ptr<IommuTrace> trace;

inline bool mode_va() { return rte_eal_iova_mode() == RTE_IOVA_VA; }

// What rte_log() writes meanwhile.
class LogLines {
public:
	LogLines() : stream_(open_memstream(&text_, &size_)) { rte_openlog_stream(stream_); }
	~LogLines()
	{
		rte_openlog_stream(nullptr);
		fclose(stream_);
		std::free(text_);
	}
	LogLines(const LogLines &) = delete;
	LogLines &operator=(const LogLines &) = delete;

	std::string text()
	{
		fflush(stream_);
		return {text_, size_};
	}
	bool says(const char *words)
	{
		if (text().find(words) != std::string::npos)
			return true;
		std::printf("not in the log: %s\nbut: %s\n", words, text().c_str());
		return false;
	}

private:
	char *text_ = nullptr;
	size_t size_ = 0;
	FILE *stream_;
};

// Of the process, there from the beginning.
class Buffer {
public:
	explicit Buffer(uint64_t len, bool huge = false)
		: len_(len), va_(mmap(nullptr, len, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | (huge ? MAP_HUGETLB : 0), -1, 0))
	{
		EXPECT_NE(MAP_FAILED, va_);
	}
	~Buffer() { munmap(va_, len_); }
	Buffer(const Buffer &) = delete;
	Buffer &operator=(const Buffer &) = delete;

	void *at(uint64_t offset = 0) const { return static_cast<char *>(va_) + offset; }
	uint64_t len() const { return len_; }

private:
	uint64_t len_;
	void *va_;
};

// EAL's default container, with devices in it.
class WithVfio : public testing::Test {
protected:
	void SetUp() override
	{
		const int fd = std::getenv("IOVAD_TEST_EAL_ARGS") ? rte_vfio_get_container_fd() : -1;
		if (fd < 0)
			GTEST_SKIP() << "IOVAD_TEST_EAL_ARGS names no device that is bound to vfio-pci";
		const dma::Outcome o = dma::VfioType1::open(fd, dma::FdOwner::caller, vfio_);
		if (!o.ok())
			GTEST_SKIP() << o.advice;
		ASSERT_EQ("", trace->why());
		trace->catch_up();
	}
	void TearDown() override
	{
		if (!trace || !vfio_)
			return;
		trace->catch_up();
		EXPECT_EQ("", trace->wrong());
	}
	dma::Info info()
	{
		dma::Info out;
		const dma::Outcome o = vfio_->info(out);
		EXPECT_TRUE(o.ok()) << o.advice;
		return out;
	}
	static iovad_domain_conf conf(uint64_t first = 0, uint64_t last = 0)
	{
		iovad_domain_conf c = conf_of(first, last);
		c.backend = IOVAD_BACKEND_VFIO;
		return c;
	}
	// A reserved range's, or a live one's; 0: free.
	static uint32_t state_at(iovad_domain *d, uint64_t iova)
	{
		iovad_range r;
		return iovad_find(d, iova, &r) == 0 ? r.state : 0;
	}
	static std::string reaches(uint64_t iova, const void *va, uint64_t len)
	{
		trace->catch_up();
		return trace->reaches(iova, va, len);
	}

	std::unique_ptr<dma::VfioType1> vfio_;
};

}  // namespace iovad::test
