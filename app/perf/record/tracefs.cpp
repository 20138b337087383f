// SPDX-License-Identifier: BSD-3-Clause
#include "record/tracefs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "errors.h"
#include "text.h"

namespace iovad::perf {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInstance = "iovad-record-";
constexpr const char *kEvents[] = {"/events/iommu/map/enable", "/events/iommu/unmap/enable"};

// A new instance has the options of the main one, whatever those are: these make the lines what
// parse_line() reads. Not every kernel has each.
constexpr const char *kOptions[] = {
	"context-info", "record-cmd", "irq-info", "overwrite", "noraw", "nohex", "nobin", "nofields",
	"noverbose", "nolatency-format", "nostacktrace", "nouserstacktrace",
};

int open_file(const std::string &path, int flags)
{
	const int fd = open(path.c_str(), flags | O_CLOEXEC);
	if (fd < 0)
		throw RunError(format("%s: cannot open: %s", path.c_str(), strerror(errno)));
	return fd;
}

// 0 or errno.
int try_write(const std::string &path, std::string_view text)
{
	const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	const int error = write(fd, text.data(), text.size()) < 0 ? errno : 0;
	close(fd);
	return error;
}

void write_file(const std::string &path, std::string_view text)
{
	if (const int error = try_write(path, text))
		throw RunError(format("%s: cannot write '%.*s': %s", path.c_str(),
				      static_cast<int>(text.size()), text.data(), strerror(error)));
}

std::string read_file(const std::string &path)
{
	const int fd = open_file(path, O_RDONLY);
	std::string text;
	char part[4096];
	ssize_t got;
	while ((got = read(fd, part, sizeof(part))) > 0)
		text.append(part, static_cast<size_t>(got));
	const int error = errno;
	close(fd);
	if (got < 0)
		throw RunError(format("%s: cannot read: %s", path.c_str(), strerror(error)));
	return text;
}

bool is_alive(std::string_view pid_text)
{
	pid_t pid = 0;
	const auto [end, error] =
		std::from_chars(pid_text.data(), pid_text.data() + pid_text.size(), pid);
	// What is not of this program's making is left alone.
	if (error != std::errc() || end != pid_text.data() + pid_text.size() || pid <= 0)
		return true;
	return pid != getpid() && (kill(pid, 0) == 0 || errno != ESRCH);
}

// A recording that was killed by SIGKILL has left its instance, which would trace on for ever. The
// kernel refuses to remove one that is in use, as by a process of another namespace.
void remove_leftovers(const std::string &instances)
{
	std::error_code error;
	std::vector<std::string> dead;
	for (fs::directory_iterator at(instances, error), end; !error && at != end; at.increment(error)) {
		const std::string name = at->path().filename();
		if (name.starts_with(kInstance) && !is_alive(name.substr(kInstance.size())))
			dead.push_back(at->path());
	}
	for (const std::string &path : dead) {
		if (rmdir(path.c_str()) == 0)
			fprintf(stderr, "iovad-perf: removed %s, left by a recording that was killed\n",
				path.c_str());
	}
}

}  // namespace

std::string find_tracefs(const std::vector<std::string> &places)
{
	std::string denied;
	for (const std::string &place : places) {
		const std::string instances = place + "/instances";
		struct stat info;
		const int error = stat(instances.c_str(), &info) != 0 ? errno : 0;
		if (error == 0 &&
		    faccessat(AT_FDCWD, instances.c_str(), W_OK | X_OK, AT_EACCESS) == 0)
			return place;
		if (error == 0 || error == EACCES || error == EPERM)
			denied = place;
	}
	if (!denied.empty())
		throw RunError(format("%s: the kernel's tracing may not be used; run this as root",
				      denied.c_str()));
	struct stat info;
	if (stat(places.front().c_str(), &info) != 0)
		throw RunError(format("%s: this kernel has no tracing, or /sys is not mounted",
				      places.front().c_str()));
	throw RunError(format("tracefs is not mounted; as root: mount -t tracefs tracefs %s",
			      places.front().c_str()));
}

void need_iommu_events(const std::string &tracefs)
{
	for (const char *event : kEvents) {
		struct stat info;
		if (stat((tracefs + event).c_str(), &info) != 0)
			throw RunError(format("%s%s: %s; this kernel has no IOMMU, or no events for it",
					      tracefs.c_str(), event, strerror(errno)));
	}
}

bool has_iommu(const std::string &folder)
{
	std::error_code error;
	const fs::directory_iterator begin(folder, error);
	return !error && begin != fs::directory_iterator();
}

std::string recording_header(const std::string &trace_head)
{
	std::string out;
	std::string_view rest = trace_head;
	while (!rest.empty()) {
		std::string_view line = rest.substr(0, rest.find('\n'));
		rest.remove_prefix(std::min(line.size() + 1, rest.size()));
		if (!line.starts_with('#'))  // of events: there are none yet
			break;
		// How many there are is not known yet either.
		if (line.starts_with("# entries-in-buffer")) {
			utsname kernel = {};
			uname(&kernel);
			const size_t cpus = line.find("#P:");
			out += format("# recorded by iovad-perf, Linux %s   ", kernel.release);
			line = cpus == std::string_view::npos ? "" : line.substr(cpus);
		}
		out.append(line).push_back('\n');
	}
	return out;
}

uint64_t lost_by_stats(const std::string &stats)
{
	uint64_t sum = 0;
	for (const std::string_view key : {"\noverrun: ", "\ncommit overrun: ", "\ndropped events: "}) {
		const size_t at = stats.find(key);
		uint64_t lost = 0;
		if (at != std::string::npos)
			std::from_chars(stats.data() + at + key.size(), stats.data() + stats.size(), lost);
		sum += lost;
	}
	return sum;
}

TraceInstance::TraceInstance(const std::string &tracefs, unsigned buffer_kib)
{
	const std::string instances = tracefs + "/instances";
	remove_leftovers(instances);
	const std::string path = instances + '/' + std::string(kInstance) + std::to_string(getpid());
	if (mkdir(path.c_str(), 0700) != 0)
		throw RunError(format("%s: cannot make a tracing instance: %s", path.c_str(),
				      strerror(errno)));
	path_ = path;
	try {
		set_up(buffer_kib);
	} catch (...) {
		remove();
		throw;
	}
}

TraceInstance::~TraceInstance()
{
	remove();
}

void TraceInstance::set_up(unsigned buffer_kib)
{
	write_file(path_ + "/tracing_on", "0");
	// The default clock may differ between cpus; this one puts an unmap after its map.
	write_file(path_ + "/trace_clock", "global");
	for (const char *option : kOptions)
		try_write(path_ + "/trace_options", option);
	const std::string size = path_ + "/buffer_size_kb";
	const int error = try_write(size, std::to_string(buffer_kib));
	if (error == ENOMEM)
		throw RunError(format("the kernel has no memory for %u KiB for each cpu; give less to "
				      "--buffer-kb",
				      buffer_kib));
	if (error != 0)
		throw RunError(format("%s: cannot write %u: %s", size.c_str(), buffer_kib,
				      strerror(error)));
	header_ = recording_header(read_file(path_ + "/trace"));
	pipe_ = open_file(path_ + "/trace_pipe", O_RDONLY | O_NONBLOCK);
	for (const char *event : kEvents)
		write_file(path_ + event, "1");
}

void TraceInstance::remove()
{
	if (pipe_ >= 0)
		close(pipe_);  // one in use cannot be removed
	if (rmdir(path_.c_str()) == 0)
		return;
	const int error = errno;
	for (const char *event : kEvents)
		try_write(path_ + event, "0");
	fprintf(stderr, "iovad-perf: %s: cannot remove it: %s; later: rmdir %s\n", path_.c_str(),
		strerror(error), path_.c_str());
}

void TraceInstance::start() const
{
	write_file(path_ + "/tracing_on", "1");
}

void TraceInstance::stop() const
{
	write_file(path_ + "/tracing_on", "0");
}

size_t TraceInstance::read(char *out, size_t size) const
{
	ssize_t got;
	do
		got = ::read(pipe_, out, size);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno != EAGAIN)
		throw RunError(format("%s/trace_pipe: cannot read: %s", path_.c_str(), strerror(errno)));
	return got < 0 ? 0 : static_cast<size_t>(got);
}

uint64_t TraceInstance::lost() const
{
	uint64_t sum = 0;
	for (const fs::directory_entry &cpu : fs::directory_iterator(path_ + "/per_cpu"))
		sum += lost_by_stats(read_file(cpu.path() / "stats"));
	return sum;
}

}  // namespace iovad::perf
