// SPDX-License-Identifier: BSD-3-Clause
#include "eal/debug/call_site.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <rte_lcore.h>

#include "core/clock.h"

namespace iovad::eal::debug {

namespace {

constexpr size_t kShown = 6;

const void *module_of(const void *address)
{
	Dl_info info;
	return dladdr(address, &info) ? info.dli_fbase : nullptr;
}

// Null where the library is part of the program: then nothing is left out.
const void *own_module()
{
	static const void *const own = module_of(reinterpret_cast<const void *>(own_module));
	static const void *const program = module_of(reinterpret_cast<const void *>(getauxval(AT_ENTRY)));
	return own == program ? nullptr : own;
}

std::string demangled(const char *name)
{
	int status;
	const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
	return text ? text.get() : name;
}

uint64_t distance(const void *from, const void *to)
{
	return static_cast<uint64_t>(static_cast<const char *>(to) - static_cast<const char *>(from));
}

// frame is where the call returns to, which may be the next function's: one byte before is the call's.
std::string name_of(void *frame)
{
	const void *const call = static_cast<char *>(frame) - 1;
	Dl_info info;
	char offset[32];
	if (!dladdr(call, &info) || !info.dli_fname) {
		std::snprintf(offset, sizeof offset, "%p", frame);
		return offset;
	}
	const char *slash = std::strrchr(info.dli_fname, '/');
	const std::string module = slash ? slash + 1 : info.dli_fname;
	const void *const base = info.dli_sname ? info.dli_saddr : info.dli_fbase;
	std::snprintf(offset, sizeof offset, "+0x%" PRIx64, distance(base, frame));
	return info.dli_sname ? demangled(info.dli_sname) + offset + " in " + module : module + offset;
}

}  // namespace

CallSite CallSite::here()
{
	CallSite site;
	site.at_ns = core::now_ns();
	site.lcore = rte_lcore_id();
	site.thread = gettid();
	site.frames = static_cast<uint32_t>(backtrace(site.frame, kFrames));
	return site;
}

std::string CallSite::who() const
{
	char text[96];
	const unsigned long long s = at_ns / 1'000'000'000, us = at_ns / 1000 % 1'000'000;
	if (lcore == LCORE_ID_ANY)
		std::snprintf(text, sizeof text, "thread %d, at %llu.%06llu s", thread, s, us);
	else
		std::snprintf(text, sizeof text, "lcore %u, thread %d, at %llu.%06llu s", lcore, thread, s, us);
	return text;
}

std::vector<std::string> CallSite::where() const
{
	void *const *const end = frame + frames;
	void *const *from = frame;
	if (const void *own = own_module()) {
		// A sanitizer's backtrace() may lie before.
		const auto is_own = [own](const void *f) { return module_of(f) == own; };
		from = std::find_if_not(std::find_if(frame, end, is_own), end, is_own);
	}
	std::vector<std::string> names;
	for (; from != end && names.size() < kShown; ++from)
		names.push_back(name_of(*from));
	return names;
}

}  // namespace iovad::eal::debug
