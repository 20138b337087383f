// SPDX-License-Identifier: BSD-3-Clause
#include "telemetry_client.h"

#include <cstring>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <rte_eal.h>

namespace iovad::test {

TelemetryClient::TelemetryClient() : fd_(socket(AF_UNIX, SOCK_SEQPACKET, 0))
{
	sockaddr_un address = {};
	address.sun_family = AF_UNIX;
	const std::string path = std::string(rte_eal_get_runtime_dir()) + "/dpdk_telemetry.v2";
	if (path.size() >= sizeof address.sun_path)
		throw std::runtime_error("too long for a socket: " + path);
	path.copy(address.sun_path, path.size());
	if (connect(fd_, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
		throw std::system_error(errno, std::generic_category(), path);
	greeting_ = receive();
}

TelemetryClient::~TelemetryClient() { close(fd_); }

std::string TelemetryClient::receive()
{
	// More than DPDK sends at once.
	std::string out(size_t{1} << 16, '\0');
	const ssize_t n = recv(fd_, out.data(), out.size(), 0);
	if (n <= 0)
		throw std::runtime_error("telemetry says nothing");
	out.resize(static_cast<size_t>(n));
	return out;
}

std::string TelemetryClient::ask(const std::string &request)
{
	if (send(fd_, request.data(), request.size(), 0) < 0)
		throw std::system_error(errno, std::generic_category(), request);
	const std::string all = receive(), begin = "{\"" + request.substr(0, request.find(',')) + "\":";
	EXPECT_EQ(begin, all.substr(0, begin.size()));
	EXPECT_EQ('}', all.back());
	return all.substr(begin.size(), all.size() - begin.size() - 1);
}

std::string value_of(const std::string &answer, const std::string &key)
{
	const std::string label = "\"" + key + "\":";
	const size_t at = answer.find(label);
	if (at == std::string::npos)
		return {};
	const size_t begin = at + label.size();
	if (answer[begin] == '[')
		return answer.substr(begin, answer.find(']', begin) + 1 - begin);
	return answer.substr(begin, answer.find_first_of(",}", begin) - begin);
}

uint64_t number_of(const std::string &answer, const std::string &key)
{
	const std::string text = value_of(answer, key);
	EXPECT_NE("", text) << key << " in " << answer;
	return text.empty() ? 0 : std::stoull(text);
}

std::vector<uint64_t> numbers_of(const std::string &answer, const std::string &key)
{
	const std::string text = value_of(answer, key);
	EXPECT_EQ('[', text.empty() ? '\0' : text[0]) << key << " in " << answer;
	std::vector<uint64_t> out;
	std::istringstream words(text.size() > 2 ? text.substr(1, text.size() - 2) : "");
	for (std::string word; std::getline(words, word, ',');)
		out.push_back(std::stoull(word));
	return out;
}

}  // namespace iovad::test
