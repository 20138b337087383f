// SPDX-License-Identifier: BSD-3-Clause
#include "core/process.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

namespace iovad::core {

namespace {

// Killed, and only its parent has not noticed yet. The first thread alone may end before the others.
bool is_zombie(uint32_t pid)
{
	char path[32], line[512];
	std::snprintf(path, sizeof path, "/proc/%u/stat", pid);
	FILE *const file = std::fopen(path, "r");
	if (!file)
		return false;
	const size_t n = std::fread(line, 1, sizeof line - 1, file);
	std::fclose(file);
	line[n] = '\0';
	// The name before may hold anything.
	const char *const rest = std::strrchr(line, ')');
	char state;
	long threads;
	return rest && std::sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld", &state,
				   &threads) == 2 &&
	       (state == 'Z' || state == 'X') && threads <= 1;
}

}  // namespace

ProcessId this_process()
{
	struct stat space = {};
	stat("/proc/self/ns/pid", &space);
	// The kernel numbers them from 0xf0000000 to 0xffffffff.
	const ProcessId above = static_cast<ProcessId>(space.st_ino) << kPidBits & ((ProcessId{1} << kProcessBits) - 1);
	return above | static_cast<ProcessId>(getpid());
}

bool is_gone(ProcessId process)
{
	const uint32_t pid = pid_of(process);
	if (pid == 0 || process >> kPidBits != this_process() >> kPidBits)
		return false;
	return (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) || is_zombie(pid);
}

}  // namespace iovad::core
