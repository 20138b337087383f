// SPDX-License-Identifier: BSD-3-Clause
// The domains that this process's pools lie in. The first pool that names a domain creates
// it, unless the application has; with the last one it goes.
//
// Not for several threads at a time: pools.cpp sees to that.
#pragma once

#include "mempool/settings.h"

namespace iovad::mempool {

struct PoolDomain;

// Null: the errno in error, logged.
PoolDomain *acquire_domain(const Settings &settings, int socket_id, int &error);
void release_domain(PoolDomain *domain);
// Whether nobody but the caller has acquired it.
bool is_last_user(const PoolDomain *domain);
iovad_domain *handle_of(const PoolDomain *domain);

}  // namespace iovad::mempool
