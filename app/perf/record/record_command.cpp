// SPDX-License-Identifier: BSD-3-Clause
// The sub-command "record": from the kernel's buffers (tracefs.h) through the queue that orders lines
// (line_queue.h) to the file (trace_writer.h). The buffers are emptied every few milliseconds instead
// of whenever there is something in them: fewer wake-ups disturb what is recorded less.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

#include "command.h"
#include "progress.h"
#include "record/line_queue.h"
#include "record/record_options.h"
#include "record/trace_writer.h"
#include "record/tracefs.h"
#include "text.h"

namespace iovad::perf {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRest = 20ms;

// The signals that end a recording, as something to wait for; to be there before all that they must
// not leave behind. A failed write is an error and no signal.
class StopSignals {
public:
	StopSignals()
	{
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGINT);
		sigaddset(&set, SIGTERM);
		struct sigaction hangup = {};
		sigaction(SIGHUP, nullptr, &hangup);
		if (hangup.sa_handler != SIG_IGN)  // nohup
			sigaddset(&set, SIGHUP);
		pthread_sigmask(SIG_BLOCK, &set, nullptr);
		signal(SIGPIPE, SIG_IGN);
		signal(SIGXFSZ, SIG_IGN);
		fd_ = signalfd(-1, &set, SFD_CLOEXEC);
		if (fd_ < 0)
			throw RunError(format("signalfd: %s", strerror(errno)));
	}
	~StopSignals() { close(fd_); }
	StopSignals(const StopSignals &) = delete;
	StopSignals &operator=(const StopSignals &) = delete;

	// Whether one came, by then.
	bool wait(std::chrono::milliseconds timeout) const
	{
		pollfd wanted = {fd_, POLLIN, 0};
		return poll(&wanted, 1, static_cast<int>(timeout.count())) > 0;
	}

private:
	int fd_ = -1;
};

class Recording {
public:
	Recording(const RecordOptions &options, const StopSignals &signals, TraceInstance &instance,
		  TraceWriter &writer)
		: options_(options), signals_(signals), instance_(instance), writer_(writer),
		  buffer_(64 * 1024, '\0')
	{
	}

	ExitCode run()
	{
		instance_.start();
		start_ = Clock::now();
		try {
			loop();
		} catch (...) {
			instance_.stop();
			throw;
		}
		instance_.stop();
		const std::chrono::duration<double> took = Clock::now() - start_;
		seconds_ = took.count();
		while (!writer_.failed() && drain(1 << 20))
			show("writing", Clock::now());
		finish();
		return report();
	}

private:
	void loop()
	{
		const bool endless = options_.seconds == 0;
		const Clock::time_point end = start_ + std::chrono::seconds(options_.seconds);
		while (!writer_.failed()) {
			const bool more = drain(4 << 20);
			const Clock::time_point now = Clock::now();
			if (!endless && now >= end)
				return;
			show("recording", now);
			std::chrono::milliseconds rest = more ? 0ms : kRest;
			if (!endless)
				rest = std::min(rest,
						std::chrono::ceil<std::chrono::milliseconds>(end - now));
			if (signals_.wait(rest))
				return;
		}
	}

	// Moves about so many bytes from the kernel towards the file; false where there were fewer.
	bool drain(size_t bytes)
	{
		size_t taken = 0, got = 1;
		while (taken < bytes && got != 0) {
			got = instance_.read(buffer_.data(), buffer_.size());
			taken += got;
			lines_.feed({buffer_.data(), got}, ready_);
		}
		push();
		return got != 0;
	}

	void push()
	{
		if (ready_.empty())
			return;
		if (!begun_)
			ready_.insert(0, instance_.header());
		begun_ = true;
		const uint64_t events = lines_.events();
		writer_.push(std::exchange(ready_, {}), events - pushed_);
		pushed_ = events;
	}

	void finish()
	{
		lines_.finish(ready_);
		// The marks miss what was lost after the last event, the counters know of all.
		lost_ = std::max(instance_.lost(), lines_.lost());
		if (begun_ || !ready_.empty())
			ready_ += format("# end: %llu events in %.3f s, %llu lost\n",
					 static_cast<unsigned long long>(lines_.events()), seconds_,
					 static_cast<unsigned long long>(lost_));
		push();
		writer_.finish();
	}

	ExitCode report()
	{
		if (!begun_)
			throw RunError(nothing());
		progress_.done(format("recorded %s: %s events in %.1f s, %s", options_.file.c_str(),
				      grouped(lines_.events()).c_str(), seconds_,
				      human_bytes(double(writer_.bytes())).c_str()));
		if (lost_ != 0)
			progress_.done(format("LOST %s EVENTS, which the kernel's buffers had no room for; the "
					      "recording has holes. Try --buffer-kb %u",
					      grouped(lost_).c_str(), 4 * options_.buffer_kib));
		if (lines_.unreadable() != 0)
			progress_.done(format("%s LINES COULD NOT BE READ and are comments in the recording; "
					      "the first: '%s'",
					      grouped(lines_.unreadable()).c_str(),
					      lines_.first_unreadable().c_str()));
		return lost_ == 0 && lines_.unreadable() == 0 ? kExitOk : kExitWrong;
	}

	std::string nothing() const
	{
		const std::string what = format("nothing was mapped or unmapped in %.1f s: no recording",
						seconds_);
		if (!has_iommu())
			return what + ". The IOMMU is off, or there is none (/sys/class/iommu is empty); "
				      "kernel arguments like intel_iommu=on turn it on";
		return what + ". Was there traffic? Devices bypass the IOMMU with iommu=pt or "
			      "iommu.passthrough=1";
	}

	void show(const char *what, Clock::time_point now)
	{
		if (!progress_.due() || now - shown_ < 1s)
			return;
		shown_ = now;
		const auto gone = std::chrono::duration_cast<std::chrono::seconds>(now - start_).count();
		std::string of;
		if (options_.seconds != 0)
			of = format(" of %u", options_.seconds);
		progress_.update(format("%s  %lld%s s: %s events, %s lost", what,
					static_cast<long long>(gone), of.c_str(),
					grouped(lines_.events()).c_str(),
					grouped(lines_.lost()).c_str()));
	}

	const RecordOptions &options_;
	const StopSignals &signals_;
	TraceInstance &instance_;
	TraceWriter &writer_;
	Progress progress_;
	LineQueue lines_;
	std::string buffer_;
	std::string ready_;  // lines for the file
	bool begun_ = false;
	uint64_t pushed_ = 0;  // events handed to the writer, or about to be
	uint64_t lost_ = 0;
	double seconds_ = 0;
	Clock::time_point start_, shown_ = {};
};

ExitCode run_record(const EalArguments &, int argc, char **argv)
{
	const RecordOptions options = parse_record_options(argc, argv);
	if (options.help) {
		fputs(kRecordUsage, stdout);
		return kExitOk;
	}
	const std::string tracefs = find_tracefs();
	need_iommu_events(tracefs);
	const StopSignals signals;
	TraceWriter writer(options.file);
	TraceInstance instance(tracefs, options.buffer_kib);
	if (!has_iommu())
		fprintf(stderr, "iovad-perf: no IOMMU is on here (/sys/class/iommu is empty); "
				"nothing may come\n");
	return Recording(options, signals, instance, writer).run();
}

}  // namespace

const Command kRecordCommand = {"record", "record the running kernel's IOMMU mappings", false, run_record};

}  // namespace iovad::perf
