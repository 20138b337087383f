// SPDX-License-Identifier: BSD-3-Clause
#include "dma/vfio/static_text.h"

#include <mutex>
#include <set>

namespace iovad::dma {

namespace {

constexpr size_t kMostTexts = 64;

}  // namespace

const char *static_text(const std::string &text, const char *plain)
{
	// Never destroyed: somebody may log an outcome while the process ends.
	static std::mutex &lock = *new std::mutex;
	static std::set<std::string> &kept = *new std::set<std::string>;

	const std::lock_guard guard(lock);
	if (const auto it = kept.find(text); it != kept.end())
		return it->c_str();
	if (kept.size() == kMostTexts)
		return plain;
	return kept.insert(text).first->c_str();
}

}  // namespace iovad::dma
