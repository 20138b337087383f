// SPDX-License-Identifier: BSD-3-Clause
// Requests on the telemetry socket: a command and its parameters, as a client sends them. Each gets
// one answer, in which its brackets close; and it says something only where it should.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <rte_log.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_eal.h>

#include "../eal/eal_setup.h"
#include "fuzz.h"
#include "iovad/iovad.h"

namespace {

constexpr char kDomain[] = "fuzz";
constexpr size_t kMostAsked = 1023;  // more than that DPDK does not read

int connection = -1;

std::string receive()
{
	static char buffer[1 << 16];
	const ssize_t n = recv(connection, buffer, sizeof buffer, 0);
	EXPECT_GT(n, 0) << "no answer";
	return std::string(buffer, static_cast<size_t>(n));
}

void connect_to_telemetry()
{
	connection = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	sockaddr_un address = {};
	address.sun_family = AF_UNIX;
	std::snprintf(address.sun_path, sizeof address.sun_path, "%s/dpdk_telemetry.v2", rte_eal_get_runtime_dir());
	EXPECT_EQ(0, connect(connection, reinterpret_cast<const sockaddr *>(&address), sizeof address)) << address.sun_path;
	receive();
}

void create_domain()
{
	iovad_domain_conf conf;
	iovad_domain_conf_init(&conf);
	conf.name = kDomain;
	conf.iova_last = (uint64_t{1} << 32) - 1;
	conf.max_ranges = 1000;
	iovad_domain *domain = iovad_domain_create(&conf);
	ASSERT_NE(nullptr, domain);
	rte_iova_t iova;
	EXPECT_EQ(0, iovad_alloc(domain, 4096, UINT64_MAX, &iova));
}

bool is_number(const std::string &text, uint64_t least, uint64_t most)
{
	if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos)
		return false;
	errno = 0;
	const uint64_t number = std::strtoull(text.c_str(), nullptr, 10);
	return errno == 0 && number >= least && number <= most;
}

// Whether iovad has an answer to these parameters; all of its commands.
bool answers(const std::string &command, const std::string &parameters)
{
	if (command == "/iovad/list" || command == "/iovad/control" || command == "/iovad/bounce" || command == "/iovad/ethdev")
		return parameters.empty();
	if (command == "/iovad/info" || command == "/iovad/stats")
		return parameters == kDomain;
	const std::string name = parameters.substr(0, parameters.find(','));
	if (name != kDomain)
		return false;
	if (name == parameters)
		return true;
	const std::string number = parameters.substr(name.size() + 1);
	return command == "/iovad/map" ? is_number(number, 1, 256) : is_number(number, 0, UINT32_MAX);
}

void expect_closed(const std::string &json)
{
	std::string open;
	bool text = false;
	for (size_t i = 0; i < json.size(); ++i) {
		const char c = json[i];
		if (text && c == '\\')
			++i;
		else if (c == '"')
			text = !text;
		else if (!text && (c == '{' || c == '['))
			open.push_back(c == '{' ? '}' : ']');
		else if (!text && (c == '}' || c == ']')) {
			EXPECT_TRUE(!open.empty() && open.back() == c) << json;
			open.pop_back();
		}
	}
	EXPECT_TRUE(open.empty() && !text) << json;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***argv)
{
	iovad::fuzz::throw_on_failure();
	static char folder[] = "/tmp/iovad-fuzz-XXXXXX";
	if (!std::getenv("RUNTIME_DIRECTORY"))
		setenv("RUNTIME_DIRECTORY", mkdtemp(folder), 1);
	unsetenv("IOVAD_TEST_EAL_ARGS");  // nothing here needs huge pages, which lie where ASan's shadow does
	EXPECT_EQ(0, test_eal_start((*argv)[0], TEST_EAL_TELEMETRY, nullptr));
	for (const char *which : {"iovad*", "lib.telemetry"})
		rte_log_set_level_pattern(which, RTE_LOG_EMERG);
	create_domain();
	connect_to_telemetry();
	return 0;
}

// The first byte chooses one of iovad's commands; the rest is its parameters.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	constexpr const char *kCommands[] = {"list", "info", "stats", "caches", "map", "bounce", "ethdev", "control"};
	if (size == 0)
		return 0;
	const std::string command = std::string("/iovad/") + kCommands[data[0] % 8];
	std::string parameters(iovad::fuzz::text_of(data + 1, size - 1));
	const std::string request = (parameters.empty() ? command : command + "," + parameters).substr(0, kMostAsked);
	EXPECT_EQ(static_cast<ssize_t>(request.size()), send(connection, request.data(), request.size(), 0));
	const std::string answer = receive(), begin = "{\"" + command + "\":";
	EXPECT_EQ(begin, answer.substr(0, begin.size()));
	expect_closed(answer);
	// DPDK leaves out commas before the parameters, and what follows a zero.
	parameters = request.size() > command.size() ? request.substr(command.size() + 1).c_str() : "";
	const bool empty = answer == begin + "null}";
	EXPECT_EQ(answers(command, parameters), !empty) << request << '\n' << answer;
	return 0;
}
