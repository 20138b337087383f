// SPDX-License-Identifier: BSD-3-Clause
#include "eal/control/thread.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_eal.h>

#include "dma/prefault.h"
#include "eal/control/control.h"
#include "eal/control/idle_cpus.h"
#include "eal/control/service.h"
#include "eal/log/log.h"

namespace iovad::eal {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class ControlThread {
public:
	int start();
	int stop();
	bool runs() const { return owner_.load(std::memory_order_relaxed) == getpid(); }
	void hurry();
	// At the end of the program, where nobody is to wait for long.
	void abandon();

private:
	static void *enter(void *self);
	void run();

	std::mutex lifecycle_;         // one start or stop at a time
	std::atomic<pid_t> owner_ = 0;  // whose thread it is: a child of fork() has none
	pthread_t thread_{};

	std::mutex mutex_;
	std::condition_variable wake_, ended_;
	bool stopping_ = false, hurried_ = false, has_ended_ = false;
};

// Never destroyed: a thread that still runs when the program ends waits on what is in it.
ControlThread &instance()
{
	static ControlThread *const thread = new ControlThread;
	return *thread;
}

// Signals are the application's, and lcores are to have their CPUs for themselves: from the
// thread's first instruction on.
class Attributes {
public:
	Attributes()
	{
		pthread_attr_init(&attributes_);
		sigset_t all;
		sigfillset(&all);
		pthread_attr_setsigmask_np(&attributes_, &all);
	}
	~Attributes() { pthread_attr_destroy(&attributes_); }
	Attributes(const Attributes &) = delete;
	Attributes &operator=(const Attributes &) = delete;

	const pthread_attr_t *get() const { return &attributes_; }
	void set_cpus(const cpu_set_t &cpus) { pthread_attr_setaffinity_np(&attributes_, sizeof cpus, &cpus); }

private:
	pthread_attr_t attributes_;
};

// With no CPU that is free of lcores, any.
int create(pthread_t &thread, void *(*enter)(void *), void *self)
{
	Attributes attributes;
	attributes.set_cpus(cpus_without_lcores());
	if (pthread_create(&thread, attributes.get(), enter, self) == 0)
		return 0;
	attributes.set_cpus(dma::every_cpu());
	return pthread_create(&thread, attributes.get(), enter, self);
}

int ControlThread::start()
{
	const std::lock_guard guard(lifecycle_);
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return -ENOTSUP;
	if (runs())
		return -EALREADY;
	{
		// Somebody may hurry the thread that was before.
		const std::lock_guard wait(mutex_);
		stopping_ = hurried_ = has_ended_ = false;
	}
	if (const int error = create(thread_, enter, this)) {
		IOVAD_LOG(ERR, "no control thread can be made (errno %d)", error);
		return -EAGAIN;
	}
	owner_.store(getpid(), std::memory_order_relaxed);
	IOVAD_LOG(INFO, "the control thread runs");
	return 0;
}

int ControlThread::stop()
{
	const std::lock_guard guard(lifecycle_);
	if (!runs())
		return -EALREADY;
	{
		const std::lock_guard wait(mutex_);
		stopping_ = true;
	}
	wake_.notify_one();
	pthread_join(thread_, nullptr);
	owner_.store(0, std::memory_order_relaxed);
	control_last_pass(control_service_runs());
	IOVAD_LOG(INFO, "the control thread has stopped");
	return 0;
}

void ControlThread::hurry()
{
	if (!runs())
		return;
	{
		const std::lock_guard wait(mutex_);
		hurried_ = true;
	}
	wake_.notify_one();
}

void ControlThread::abandon()
{
	// Whoever is stopping it just now joins it as well.
	const std::unique_lock lifecycle(lifecycle_, std::try_to_lock);
	if (!lifecycle || !runs() || pthread_equal(thread_, pthread_self()))
		return;
	std::unique_lock wait(mutex_);
	stopping_ = true;
	wake_.notify_one();
	if (ended_.wait_for(wait, 1s, [&] { return has_ended_; }))
		pthread_join(thread_, nullptr);
}

void *ControlThread::enter(void *self)
{
	pthread_setname_np(pthread_self(), "iovad-control");
	static_cast<ControlThread *>(self)->run();
	return nullptr;
}

void ControlThread::run()
{
	// On a CPU that an lcore has it must get in between, or what is deferred grows old. Not all may.
	setpriority(PRIO_PROCESS, 0, -20);
	std::unique_lock wait(mutex_);
	while (!stopping_) {
		hurried_ = false;
		wait.unlock();
		const Clock::time_point begin = Clock::now();
		control_pass(Runner::thread);
		const Clock::time_point due = begin + std::chrono::microseconds(control_interval_us());
		wait.lock();
		wake_.wait_until(wait, due, [&] { return stopping_ || hurried_; });
	}
	has_ended_ = true;
	ended_.notify_one();
}

// Before what the thread uses ends: this library is finished before those it depends on.
[[gnu::destructor]] void at_exit() { instance().abandon(); }

}  // namespace

int start_control_thread() { return instance().start(); }

int stop_control_thread() { return instance().stop(); }

bool control_thread_runs() { return instance().runs(); }

void control_thread_hurry() { instance().hurry(); }

}  // namespace iovad::eal
