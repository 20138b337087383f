// SPDX-License-Identifier: BSD-3-Clause
// How an operation ended. eal/status_errno.h turns it into an errno.
#pragma once

namespace iovad::core {

enum class Status {
	ok,
	invalid,        // an argument cannot be right, whatever the state
	no_space,       // nothing fits under the limit, or no more mappings may exist
	again,          // a node is missing; nothing changed; later it may work
	not_found,      // exactly that range is not there
	exists,         // something live is in the way
	no_memory,      // no memory, or no more of it may be locked
	bad_memory,     // there is no such memory, or it cannot be used so
	denied,         // this process may not
	not_supported,  // not with this domain or in this process
	busy,           // others still use it
	failed,         // the backend failed in a way that has no name
};

}  // namespace iovad::core
