// SPDX-License-Identifier: BSD-3-Clause
// A client of this process's telemetry socket. Answers are taken apart as text, one key at a
// time: what a client sees, and no more JSON than telemetry writes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace iovad::test {

class TelemetryClient {
public:
	TelemetryClient();
	~TelemetryClient();
	TelemetryClient(const TelemetryClient &) = delete;
	TelemetryClient &operator=(const TelemetryClient &) = delete;

	// The answer without the command's name around it.
	std::string ask(const std::string &request);

private:
	std::string receive();

	int fd_;
	std::string greeting_;
};

// The value of a key, as it is written; empty: there is no such key.
std::string value_of(const std::string &answer, const std::string &key);
uint64_t number_of(const std::string &answer, const std::string &key);
std::vector<uint64_t> numbers_of(const std::string &answer, const std::string &key);

}  // namespace iovad::test
