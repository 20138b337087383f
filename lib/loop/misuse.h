// SPDX-License-Identifier: BSD-3-Clause
// What an application can do wrong with memory that it gives to a device, and how it is told.
#pragma once

#include <cstdint>
#include <string>

#include <rte_mbuf.h>

#include "eal/log/limit.h"
#include "iovad/iovad_device.h"

namespace iovad::loop {

enum class Misuse : unsigned {
	not_mapped,   // at the first byte
	direction,    // for the other direction only
	crosses_end,  // of the mapping that it begins in, also where another one follows
};
inline constexpr unsigned kMisuses = 3;

// An access that was refused.
struct Refused {
	uint16_t queue;
	uint32_t dir;  // IOVAD_TO_DEVICE: transmitting
	rte_iova_t iova;
	uint32_t len;
	const rte_mbuf *mbuf;
	Misuse misuse;
};

// Of one port: any of its queues may have something to say.
class Reports {
public:
	// Its name.
	explicit Reports(std::string port) : port_(std::move(port)) {}

	// Before queues start. The name stays.
	void begin(iovad_domain *domain, const char *domain_name, bool panic);
	// A line in the log, some of many; or the end of the program.
	void write(const Refused &refused);
	// Nothing more will come: mentions what was withheld.
	void end();

private:
	void mention(uint64_t withheld);

	const std::string port_;
	iovad_domain *domain_ = nullptr;
	const char *domain_name_ = nullptr;
	bool panic_ = false;
	eal::LogLimit limit_;
};

}  // namespace iovad::loop
