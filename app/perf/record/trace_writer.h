// SPDX-License-Identifier: BSD-3-Clause
// The file of a recording. A thread of its own compresses and writes, so that neither a slow disk nor
// the compressor keeps the kernel's buffers from being emptied.
//
// The file is written in units, each readable without those after it: a line, or, where the name ends
// in .xz, an xz stream of many (a file may hold many streams; xz and the reader of replay take them as
// one). Where the disk is full, the file is cut after the last unit that fits, and is a trace still.
// Until there is something to write what the file held is untouched; one that is new and gets
// nothing is gone again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace iovad::perf {

class TraceWriter {
public:
	static constexpr size_t kXzUnitBytes = 8 << 20;    // of text; about a sixteenth of it compressed
	static constexpr size_t kQueueBytes = 256 << 20;  // then push() waits, and the kernel's buffers fill

	// Throws RunError where the file cannot be written.
	explicit TraceWriter(const std::string &path, size_t xz_unit_bytes = kXzUnitBytes);
	~TraceWriter();  // writes what was pushed
	TraceWriter(const TraceWriter &) = delete;
	TraceWriter &operator=(const TraceWriter &) = delete;

	// Whole lines, and how many events are in them.
	void push(std::string text, uint64_t events);
	bool failed() const;
	// Waits until all is written; throws RunError where it is not, which says what is. The last call.
	void finish();
	uint64_t bytes() const { return good_bytes_; }  // of the file; after finish()

private:
	struct Portion {
		std::string text;
		uint64_t events = 0;
	};

	void write_all();
	void write_portion(Portion &portion);
	void keep_lines(std::string_view written);
	void end_thread();

	const std::string path_;
	const bool xz_;
	const size_t xz_unit_bytes_;
	int fd_ = -1;
	bool created_ = false;
	bool regular_ = false;

	mutable std::mutex mutex_;  // of the next six
	std::condition_variable changed_;
	std::deque<Portion> queue_;
	size_t queued_bytes_ = 0;
	bool ended_ = false;
	std::string error_;

	// The thread's, until it has ended.
	uint64_t good_bytes_ = 0, good_events_ = 0;
	std::thread thread_;
};

}  // namespace iovad::perf
