// SPDX-License-Identifier: BSD-3-Clause
#include "loop/wire.h"

#include <map>
#include <mutex>

namespace iovad::loop {

namespace {

std::mutex mutex;
std::map<std::string, std::weak_ptr<Wire>> wires;

}  // namespace

std::shared_ptr<Wire> Wire::to(const std::string &port)
{
	const std::lock_guard guard(mutex);
	std::erase_if(wires, [](const auto &entry) { return entry.second.expired(); });
	std::weak_ptr<Wire> &place = wires[port];
	std::shared_ptr<Wire> wire = place.lock();
	if (!wire)
		place = wire = std::make_shared<Wire>();
	return wire;
}

void Wire::plug(unsigned queue, RxQueue *receiver)
{
	const core::LockGuard guard(inlets_[queue].lock);
	inlets_[queue].queue = receiver;
}

}  // namespace iovad::loop
