// SPDX-License-Identifier: BSD-3-Clause
#include "report/json_object.h"

#include <cmath>

#include "report/table.h"
#include "text.h"

namespace iovad::perf {
namespace {

std::string quoted(const std::string &text)
{
	std::string out = "\"";
	for (const char c : text) {
		if (c == '"' || c == '\\')
			out += std::string("\\") + c;
		else if (static_cast<unsigned char>(c) < 0x20)
			out += format("\\u%04x", static_cast<unsigned>(c));
		else
			out += c;
	}
	return out + "\"";
}

}  // namespace

void JsonObject::add(const char *key, const std::string &text)
{
	member(key, quoted(text));
}

void JsonObject::add(const char *key, uint64_t n)
{
	member(key, std::to_string(n));
}

void JsonObject::add(const char *key, bool b)
{
	member(key, b ? "true" : "false");
}

// Digits enough for any figure here.
void JsonObject::add(const char *key, double d)
{
	member(key, std::isfinite(d) ? format("%.6g", d) : "null");
}

void JsonObject::add(const char *key, const std::vector<unsigned> &numbers)
{
	member(key, format("[%s]", listed(numbers).c_str()));
}

void JsonObject::add(const char *key, const Spread &spread)
{
	member(key, format("{\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}", spread.median, spread.min,
			   spread.max));
}

void JsonObject::add(const char *key, const CallTimes &times)
{
	JsonObject call = object(key);
	call.add("calls", times.calls);
	call.add("mean", times.mean);
	call.add("p50", times.p50);
	call.add("p90", times.p90);
	call.add("p99", times.p99);
	call.add("p99_9", times.p999);
	call.add("p99_99", times.p9999);
	call.add("max", times.max);
}

JsonObject JsonObject::object(const char *key)
{
	member(key, "");
	return JsonObject(out_, depth_ + 1);
}

void JsonObject::member(const char *key, const std::string &value)
{
	fprintf(out_, "%s\n%*s%s: %s", first_ ? "" : ",", int(2 * depth_), "", quoted(key).c_str(),
		value.c_str());
	first_ = false;
}

}  // namespace iovad::perf
