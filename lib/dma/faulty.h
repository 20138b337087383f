// SPDX-License-Identifier: BSD-3-Clause
// A backend that fails, or stands still, where a test says: it passes calls on to another
// and counts them. Thread-safe as a backend has to be.
//
//   faulty.fail(Call::map, n, {Status::no_memory, ENOMEM, ""});     the nth map from now
//   faulty.hold(Call::unmap, 1);  ... another thread unmaps ...
//   faulty.wait_held();           ... what must be possible meanwhile ...
//   faulty.release();
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "dma/backend.h"

namespace iovad::dma {

class FaultyBackend final : public Backend {
public:
	enum class Call { map, unmap, info, any };
	// before: the other backend never hears of the call. after: it has done its work. What
	// fails after it was done is for unmap() only: an invalidation that timed out, say. A map()
	// that fails has changed nothing, by contract.
	enum class When { before, after };

	explicit FaultyBackend(Backend &other) : other_(other) {}
	~FaultyBackend() override = default;

	const char *name() const override { return "faulty"; }
	Outcome info(Info &out) override;
	Outcome map(uint64_t iova, void *va, uint64_t len, uint32_t dir) override;
	Outcome unmap(uint64_t iova, uint64_t len, uint64_t mapped) override;
	using Backend::unmap;

	static constexpr uint64_t kForever = ~uint64_t{0};

	// The nth such call from now fails (the next is 1), and the times - 1 that follow it.
	// Several may be set. Where two hit the same call the one set first wins.
	void fail(Call call, uint64_t nth, const Outcome &outcome, uint64_t times = 1,
		  When when = When::before);
	void heal();  // none set before fails any more

	// The nth such call from now waits for release(). One at a time.
	void hold(Call call, uint64_t nth, When when = When::before);
	// Until a call is held. False: none came in time.
	bool wait_held(std::chrono::milliseconds limit = std::chrono::seconds(60));
	// Also takes back a hold that nothing has come to yet.
	void release();

	uint64_t calls(Call call) const;  // since creation; any: all of them
	uint64_t failures() const;        // of these, failed by this class

private:
	struct Rule {
		Call call;
		uint64_t first, end;  // by number of such calls
		When when;
		Outcome outcome;

		bool hits(Call which, uint64_t of_kind, uint64_t of_all) const
		{
			const uint64_t n = call == Call::any ? of_all : of_kind;
			return (call == Call::any || call == which) && first <= n && n < end;
		}
	};
	// Decided when a call comes in, from its numbers.
	struct Plan {
		bool fails = false, holds = false;
		When fails_when = When::before, holds_when = When::before;
		Outcome outcome;
	};

	Plan enter(Call call);
	void stand(const Plan &plan, When when);
	template <class Work> Outcome pass(Call call, Work work);
	Rule rule(Call call, uint64_t nth, uint64_t times, When when, const Outcome &outcome) const;

	Backend &other_;
	mutable std::mutex mutex_;
	std::condition_variable changed_;
	uint64_t calls_[4] = {};
	uint64_t failures_ = 0;
	std::vector<Rule> failing_;
	std::vector<Rule> holding_;  // none or one
	bool held_ = false;          // a call is being held
};

}  // namespace iovad::dma
