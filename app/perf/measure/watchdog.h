// SPDX-License-Identifier: BSD-3-Clause
// Ends the process where nothing moves any more: a thread that hangs in the library cannot be told
// to stop, and one that waits for it would wait forever.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace iovad::perf {

class Watchdog {
public:
	// progress: any figure that changes as long as things move; called once in a while, on another
	// thread. give_up is called where it did not change for so long.
	Watchdog(std::chrono::seconds patience, std::function<uint64_t()> progress,
		 std::function<void()> give_up)
		: patience_(patience), progress_(std::move(progress)), give_up_(std::move(give_up)),
		  thread_([this](std::stop_token stop) { watch(stop); })
	{
	}

private:
	void watch(const std::stop_token &stop)
	{
		using clock = std::chrono::steady_clock;
		std::unique_lock lock(mutex_);
		uint64_t seen = progress_();
		clock::time_point changed = clock::now();
		const auto never = [] { return false; };
		while (!wake_.wait_for(lock, stop, patience_ / 8, never) && !stop.stop_requested()) {
			const uint64_t now = progress_();
			if (now != seen) {
				seen = now;
				changed = clock::now();
			} else if (clock::now() - changed > patience_) {
				give_up_();
				return;
			}
		}
	}

	std::chrono::milliseconds patience_;
	std::function<uint64_t()> progress_;
	std::function<void()> give_up_;
	std::mutex mutex_;
	std::condition_variable_any wake_;
	std::jthread thread_;  // the last member: it uses the others, and ends before they do
};

}  // namespace iovad::perf
