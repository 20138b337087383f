// SPDX-License-Identifier: BSD-3-Clause
// The lanes of an inner node: one per child, spread over its arrays.
//
// A template over the kernels, like all that is compiled for one instruction set: inline
// functions that the sets had in common would be merged by the linker, and the copy that
// stays might be the one made for the wider instructions.
#pragma once

#include <cstring>

#include "core/range_tree/node.h"

namespace iovad::core {

struct Child {
	Summary summary;
	NodeRef ref;
};

template <class Kernels> struct Lanes {
	static void set(Inner &node, unsigned c, Child child, Pfn key)
	{
		node.key[c] = key;
		node.child[c] = child.ref;
		node.below[c] = child.summary;
	}
	static void insert(Inner &node, unsigned c, Child child, Pfn key)
	{
		move(node, c + 1, node, c, node.n - c);
		++node.n;
		set(node, c, child, key);
	}
	static void remove(Inner &node, unsigned c)
	{
		move(node, c, node, c + 1, node.n - c - 1);
		--node.n;
	}
	static void move(Inner &to, unsigned at, const Inner &from, unsigned first, unsigned count)
	{
		std::memmove(&to.key[at], &from.key[first], count * sizeof(to.key[0]));
		std::memmove(&to.below[at], &from.below[first], count * sizeof(to.below[0]));
		std::memmove(&to.child[at], &from.child[first], count * sizeof(to.child[0]));
	}
};

}  // namespace iovad::core
