// SPDX-License-Identifier: BSD-3-Clause
// Pools of mbufs, and packets that say something.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

namespace iovad::test {

struct FreeMempool {
	void operator()(rte_mempool *pool) const { rte_mempool_free(pool); }
};
using Mempool = std::unique_ptr<rte_mempool, FreeMempool>;

// A segment that says so.
inline rte_mbuf *segment(const Mempool &pool, const std::string &text)
{
	rte_mbuf *m = rte_pktmbuf_alloc(pool.get());
	EXPECT_NE(nullptr, m);
	if (!text.empty())
		std::memcpy(rte_pktmbuf_append(m, static_cast<uint16_t>(text.size())), text.data(), text.size());
	return m;
}

inline rte_mbuf *chain(const Mempool &pool, const std::vector<std::string> &texts)
{
	rte_mbuf *first = segment(pool, texts[0]);
	for (size_t i = 1; i < texts.size(); ++i)
		EXPECT_EQ(0, rte_pktmbuf_chain(first, segment(pool, texts[i])));
	return first;
}

}  // namespace iovad::test
