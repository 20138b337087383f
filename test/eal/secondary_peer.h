// SPDX-License-Identifier: BSD-3-Clause
// A secondary process that does as the test in the primary says, one line at a time:
//
//   lookup NAME       create NAME       alloc LEN LIMIT   free IOVA LEN
//   fill LEN COUNT    detach            verify            refresh
//   visit NAME COUNT
//   map VA LEN        unmap IOVA LEN    region VA LEN     unregion VA LEN
//   va2iova VA LEN    iova2va IOVA LEN  flush              fail_every N
//   control_thread    control_service   control_poll
//   mbufs POOL COUNT  hold POOL COUNT   send POOL COUNT
//
// visit attaches, when there is such a domain, and detaches, so many times.
// The last three take mbufs out of a pool, check their addresses, and give them back, keep
// them, or send them through port 0 as frames of write_test_frame().
// The answer is a line too: 0 or a negative errno, and where there is one the address.
#pragma once

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace iovad::test {

inline constexpr unsigned kTestFrameBytes = 60;
void write_test_frame(char *frame, uint32_t number);

// In the primary: a secondary of its own.
class Peer {
public:
	// Runs this program again; prefix: of EAL's files.
	explicit Peer(const std::string &prefix);
	// Lets it come to its end.
	~Peer();
	Peer(const Peer &) = delete;
	Peer &operator=(const Peer &) = delete;

	// The errno of the answer, and the number after it.
	int ask(const std::string &request, unsigned long long *number = nullptr);
	// SIGKILL, wherever it is.
	void kill();

private:
	std::string read_line();

	pid_t pid_ = -1;
	int to_ = -1, from_ = -1;
};

// In the secondary: answer until there is nothing more to read. Descriptors.
int serve_peer(int in, int out);

}  // namespace iovad::test
