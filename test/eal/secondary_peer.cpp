// SPDX-License-Identifier: BSD-3-Clause
#include "secondary_peer.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "iovad/iovad_control.h"
#include "iovad/iovad_dma.h"
#include "iovad/iovad_soft.h"

namespace iovad::test {

namespace {

constexpr int kPatienceMs = 60000;  // for a line: a start of EAL under a sanitizer

class Server {
public:
	std::string answer(const std::string &line)
	{
		std::istringstream words(line);
		std::string verb, name;
		uint64_t a = 0, b = 0;
		words >> verb;
		if (verb == "lookup" || verb == "create") {
			words >> name;
			return std::to_string(verb == "lookup" ? lookup(name) : create(name));
		}
		if (verb == "mbufs" || verb == "hold" || verb == "send") {
			words >> name >> a;
			return std::to_string(with_mbufs(verb, name, a));
		}
		if (verb == "visit") {
			words >> name >> a;
			return std::to_string(visit(name, a));
		}
		words >> a >> b;
		if (verb == "alloc") {
			rte_iova_t iova = 0;
			const int rc = iovad_alloc(d_, a, b, &iova);
			return std::to_string(rc) + ' ' + std::to_string(iova);
		}
		rte_iova_t mapped = 0;
		if (verb == "map")
			return std::to_string(iovad_map(d_, pointer(a), b, UINT64_MAX, IOVAD_BIDIRECTIONAL, &mapped));
		if (verb == "unmap")
			return std::to_string(iovad_unmap(d_, a, b));
		if (verb == "region")
			return std::to_string(iovad_region_add(d_, pointer(a), b, UINT64_MAX, IOVAD_BIDIRECTIONAL, &mapped));
		if (verb == "unregion")
			return std::to_string(iovad_region_remove(d_, pointer(a), b));
		if (verb == "refresh")
			return std::to_string(iovad_domain_refresh(d_));
		if (verb == "fail_every")
			return std::to_string(iovad_soft_fail_every(d_, a));
		if (verb == "va2iova")
			return "0 " + std::to_string(iovad_va2iova(d_, pointer(a), b));
		if (verb == "iova2va")
			return "0 " + std::to_string(reinterpret_cast<uintptr_t>(iovad_iova2va(d_, a, b)));
		if (verb == "free")
			return std::to_string(iovad_free(d_, a, b));
		if (verb == "fill")
			return std::to_string(fill(a, b));
		if (verb == "detach")
			return std::to_string(iovad_domain_destroy(d_));
		if (verb == "flush")
			return std::to_string(iovad_flush(d_));
		uint32_t service = 0;
		if (verb == "control_thread")
			return std::to_string(iovad_control_thread_start());
		if (verb == "control_service")
			return std::to_string(iovad_control_service(&service));
		if (verb == "control_poll")
			return std::to_string(iovad_control_poll());
		if (verb == "verify")
			return std::to_string(iovad_verify(d_, stderr));
		return std::to_string(-ENOSYS);
	}

private:
	static void *pointer(uint64_t address) { return reinterpret_cast<void *>(address); }
	int lookup(const std::string &name)
	{
		rte_errno = 0;
		d_ = iovad_domain_lookup(name.c_str());
		return d_ ? 0 : -rte_errno;
	}
	// So many tries to attach to what is there at times.
	static int visit(const std::string &name, uint64_t tries)
	{
		for (; tries > 0; --tries) {
			iovad_domain *const d = iovad_domain_lookup(name.c_str());
			if (!d && rte_errno == ENOENT)
				sched_yield();
			else if (!d)
				return -rte_errno;
			else if (const int rc = iovad_domain_destroy(d))
				return rc;
		}
		return 0;
	}
	int create(const std::string &name)
	{
		iovad_domain_conf conf;
		iovad_domain_conf_init(&conf);
		conf.name = name.c_str();
		rte_errno = 0;
		return iovad_domain_create(&conf) ? 0 : -rte_errno;
	}
	// So many addresses into the caches of this process.
	int fill(uint64_t len, uint64_t count)
	{
		std::vector<rte_iova_t> iovas(count);
		for (rte_iova_t &iova : iovas) {
			if (const int rc = iovad_alloc(d_, len, UINT64_MAX, &iova))
				return rc;
		}
		for (const rte_iova_t iova : iovas) {
			if (const int rc = iovad_free(d_, iova, len))
				return rc;
		}
		return 0;
	}

	// Each must have the address that the domain says.
	int with_mbufs(const std::string &verb, const std::string &pool_name, uint64_t count)
	{
		rte_mempool *pool = rte_mempool_lookup(pool_name.c_str());
		std::vector<rte_mbuf *> mbufs(count);
		if (!pool)
			return -ENOENT;
		if (rte_pktmbuf_alloc_bulk(pool, mbufs.data(), static_cast<unsigned>(count)) != 0)
			return -ENOMEM;
		int rc = 0;
		for (rte_mbuf *m : mbufs) {
			if (m->buf_iova != iovad_va2iova(d_, m->buf_addr, m->buf_len) ||
			    iovad_iova2va(d_, m->buf_iova, m->buf_len) != m->buf_addr)
				rc = -EFAULT;
		}
		if (verb == "mbufs")
			rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(count));
		if (verb == "send")
			send(mbufs);
		return rc;
	}
	static void send(std::vector<rte_mbuf *> &mbufs)
	{
		for (size_t i = 0; i < mbufs.size(); ++i)
			write_test_frame(rte_pktmbuf_append(mbufs[i], kTestFrameBytes), static_cast<uint32_t>(i));
		for (size_t sent = 0; sent < mbufs.size();)
			sent += rte_eth_tx_burst(0, 0, mbufs.data() + sent, static_cast<uint16_t>(mbufs.size() - sent));
	}

	iovad_domain *d_ = nullptr;
};

}  // namespace

void write_test_frame(char *frame, uint32_t number)
{
	std::memset(frame, 0xff, 6);  // to all
	std::memset(frame + 6, 2, 6);
	std::memset(frame + 12, 0x88, 2);
	for (unsigned i = 14; i < kTestFrameBytes; ++i)
		frame[i] = static_cast<char>(number + i);
}

Peer::Peer(const std::string &prefix)
{
	int requests[2], answers[2];
	if (pipe2(requests, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0)
		throw std::runtime_error("pipe");
	constexpr int kIn = 100, kOut = 101;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, requests[0], kIn);
	posix_spawn_file_actions_adddup2(&actions, answers[1], kOut);
	std::string words[] = {"secondary", "--peer", prefix, std::to_string(kIn), std::to_string(kOut)};
	std::vector<char *> argv;
	for (std::string &word : words)
		argv.push_back(word.data());
	argv.push_back(nullptr);
	const int rc = posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
	posix_spawn_file_actions_destroy(&actions);
	close(requests[0]);
	close(answers[1]);
	to_ = requests[1];
	from_ = answers[0];
	if (rc != 0)
		throw std::runtime_error("posix_spawn");
	if (read_line() != "ready")
		throw std::runtime_error("the secondary did not start");
}

Peer::~Peer()
{
	close(to_);
	if (pid_ > 0)
		waitpid(pid_, nullptr, 0);
	close(from_);
}

void Peer::kill()
{
	::kill(pid_, SIGKILL);
	waitpid(pid_, nullptr, 0);
	pid_ = -1;
}

std::string Peer::read_line()
{
	std::string line;
	for (;;) {
		pollfd fd = {from_, POLLIN, 0};
		char c;
		if (poll(&fd, 1, kPatienceMs) <= 0 || read(from_, &c, 1) != 1)
			return "gone";
		if (c == '\n')
			return line;
		line += c;
	}
}

int Peer::ask(const std::string &request, unsigned long long *number)
{
	const std::string line = request + '\n';
	if (write(to_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
		return -EPIPE;
	std::istringstream answer(read_line());
	int rc = -EPIPE;
	answer >> rc;
	if (answer && number)
		answer >> *number;
	return answer ? rc : -EPIPE;
}

int serve_peer(int in, int out)
{
	const std::unique_ptr<FILE, int (*)(FILE *)> from(fdopen(in, "r"), std::fclose), to(fdopen(out, "w"), std::fclose);
	std::fputs("ready\n", to.get());
	std::fflush(to.get());
	Server server;
	char line[256];
	while (std::fgets(line, sizeof line, from.get())) {
		std::fprintf(to.get(), "%s\n", server.answer(line).c_str());
		std::fflush(to.get());
	}
	return 0;
}

}  // namespace iovad::test
