// SPDX-License-Identifier: BSD-3-Clause
// A packet on the wire: the memory that its sender's IOMMU let the device read.
#pragma once

#include <cstdint>
#include <span>

namespace iovad::loop {

struct Piece {
	char *data;
	uint32_t len;
};

struct Packet {
	std::span<const Piece> pieces;  // none of them empty
	uint32_t len;                   // of all
};

}  // namespace iovad::loop
