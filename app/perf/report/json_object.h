// SPDX-License-Identifier: BSD-3-Clause
// A JSON object as it is written: members in their order, one per line, commas where they belong.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "measure/call_times.h"

namespace iovad::perf {

class JsonObject {
public:
	JsonObject(FILE *out, unsigned depth) : out_(out), depth_(depth) { fputc('{', out_); }
	~JsonObject() { fprintf(out_, "\n%*s}", int(2 * (depth_ - 1)), ""); }
	JsonObject(const JsonObject &) = delete;
	JsonObject &operator=(const JsonObject &) = delete;

	void add(const char *key, const std::string &text);
	void add(const char *key, uint64_t n);
	void add(const char *key, bool b);
	void add(const char *key, double d);  // JSON has no infinity: null
	void add(const char *key, const std::vector<unsigned> &numbers);
	void add(const char *key, const Spread &spread);
	void add(const char *key, const CallTimes &times);
	void add_null(const char *key) { member(key, "null"); }

	JsonObject object(const char *key);

private:
	void member(const char *key, const std::string &value);

	FILE *out_;
	unsigned depth_;
	bool first_ = true;
};

}  // namespace iovad::perf
