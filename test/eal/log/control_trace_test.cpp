// SPDX-License-Identifier: BSD-3-Clause
// The library's trace points, in what a program saves that was started with --trace.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <rte_eal.h>

#include "../child.h"
#include "iovad/iovad_control.h"
#include "iovad/iovad_dma.h"

namespace iovad::test {
namespace {

namespace fs = std::filesystem;

constexpr const char kDomain[] = "traced-domain";

// The upper half of the domain is the only one that is whole, and a cache holds part of it.
bool exhaust(iovad_domain *d)
{
	constexpr uint64_t kHalf = uint64_t{1} << 39;
	rte_iova_t iova;
	return iovad_alloc(d, 4096, UINT64_MAX, &iova) == 0 && iovad_free(d, iova, 4096) == 0 &&
	       iovad_alloc(d, kHalf, UINT64_MAX, &iova) == 0 && iovad_free(d, iova, kHalf) == 0;
}

// In the child: each event once at least.
bool work()
{
	if (!start_small_eal("--trace=iovad.*"))
		return false;
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = kDomain;
	conf.backend = IOVAD_BACKEND_SOFT;
	conf.iova_last = (uint64_t{1} << 40) - 1;
	iovad_domain *const d = iovad_domain_create(&conf);
	void *const memory = reinterpret_cast<void *>(0x7f0000000000);
	rte_iova_t iova;
	return d && iovad_map(d, memory, 4096, UINT64_MAX, IOVAD_BIDIRECTIONAL, &iova) == 0 &&
	       iovad_unmap_strict(d, iova, 4096) == 0 &&
	       iovad_region_add(d, memory, 4096, UINT64_MAX, IOVAD_BIDIRECTIONAL, &iova) == 0 &&
	       iovad_region_remove(d, memory, 4096) == 0 && exhaust(d) && iovad_control_poll() >= 0 &&
	       iovad_domain_destroy(d) == 0 && rte_eal_cleanup() == 0;
}

std::string content(const fs::path &path)
{
	std::ostringstream out;
	out << std::ifstream(path, std::ios::binary).rdbuf();
	return out.str();
}

// "id = 17;", before its name.
uint64_t id_of(const std::string &metadata, const std::string &event)
{
	const size_t name = metadata.find("name = \"" + event + "\"");
	const size_t id = name == std::string::npos ? name : metadata.rfind("id = ", name);
	return id == std::string::npos ? 0 : std::strtoull(metadata.c_str() + id + 5, nullptr, 10);
}

// Events begin at multiples of 8 bytes: the id in 16 bits, the time in 48, then what is said.
unsigned count(const std::string &stream, uint64_t id, const std::string &begin)
{
	unsigned n = 0;
	for (size_t at = 0; at + 8 + begin.size() <= stream.size(); at += 8) {
		uint64_t header;
		std::memcpy(&header, stream.data() + at, sizeof header);
		n += header >> 48 == id && stream.compare(at + 8, begin.size(), begin) == 0;
	}
	return n;
}

class Trace : public testing::Test {
protected:
	void SetUp() override
	{
		char directory[] = "/tmp/iovad-trace-XXXXXX";
		directory_ = mkdtemp(directory);
		setenv("HOME", directory, 1);  // where EAL saves
		ASSERT_EQ(0, run_again("trace"));
		for (const auto &file : fs::recursive_directory_iterator(directory_)) {
			if (file.path().filename() == "metadata")
				metadata_ = content(file.path());
			else if (file.is_regular_file())
				streams_ += content(file.path());
		}
	}
	void TearDown() override { fs::remove_all(directory_); }

	fs::path directory_;
	std::string metadata_, streams_;
};

TEST_F(Trace, HasTheEvents)
{
	for (const char *event : {"domain.create", "map", "unmap", "region_add", "region_remove", "reclaim", "domain.destroy"}) {
		const uint64_t id = id_of(metadata_, std::string("iovad.") + event);
		EXPECT_NE(0u, id) << event;
		EXPECT_EQ(1u, count(streams_, id, std::string(kDomain) + '\0')) << event;
	}
	const uint64_t pass = id_of(metadata_, "iovad.control.pass");
	EXPECT_NE(0u, pass);
	EXPECT_GE(count(streams_, pass, std::string(4, '\0')), 1u) << "a pass in which there was nothing to do";
}

TEST_F(Trace, DescribesTheOthers)
{
	for (const char *event : {"retire", "quarantine"})
		EXPECT_NE(0u, id_of(metadata_, std::string("iovad.") + event)) << event;
}

}  // namespace
}  // namespace iovad::test

int main(int argc, char **argv)
{
	if (argc == 2 && std::strcmp(argv[1], "trace") == 0)
		return iovad::test::work() ? 0 : 1;
	testing::InitGoogleTest(&argc, argv);
	return RUN_ALL_TESTS();
}
