// SPDX-License-Identifier: BSD-3-Clause
// What an operation of the core came to. capi/errno.h turns it into an errno.
#pragma once

namespace iovad::core {

enum class Status {
	ok,
	invalid,    // an argument cannot be right, whatever the state
	no_space,   // nothing fits under the limit
	again,      // a node is missing; nothing changed; later it may work
	not_found,  // exactly that range is not there
	exists,     // something live is in the way
};

}  // namespace iovad::core
