// SPDX-License-Identifier: BSD-3-Clause
// Atomic access to plain fields, of structs that C programs know too (iovad_hot.h).
#pragma once

#include <type_traits>

namespace iovad::core {

template <class T> T load_relaxed(const T &field) { return __atomic_load_n(&field, __ATOMIC_RELAXED); }

template <class T> void store_relaxed(T &field, std::type_identity_t<T> value)
{
	__atomic_store_n(&field, value, __ATOMIC_RELAXED);
}

}  // namespace iovad::core
