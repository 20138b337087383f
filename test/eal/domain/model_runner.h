// SPDX-License-Identifier: BSD-3-Clause
// Runs instructions on a domain and on the oracle, and compares after each.
#pragma once

#include <string>
#include <vector>

#include "iovad/iovad.h"
#include "model_instruction.h"
#include "model_oracle.h"

namespace iovad::test {

class ModelRunner {
public:
	explicit ModelRunner(const ModelSpace &space);
	// Whatever state it is in.
	~ModelRunner();
	ModelRunner(const ModelRunner &) = delete;
	ModelRunner &operator=(const ModelRunner &) = delete;

	// Empty, or what the domain did otherwise than it must, and at which step.
	std::string run(const Program &program);
	iovad_domain_stats stats() const;
	unsigned succeeded(Op op) const { return succeeded_[static_cast<unsigned>(op)]; }
	unsigned refused(Op op) const { return refused_[static_cast<unsigned>(op)]; }

private:
	struct Held {
		uint64_t start, granules, occupied;
	};

	std::string step(const Instruction &i);
	std::string alloc(const Instruction &i, unsigned n);
	std::string alloc_range(const Instruction &i);
	std::string free(const Instruction &i, unsigned n);
	std::string free_range(const Instruction &i);
	std::string reserve(const Instruction &i);
	std::string unreserve(const Instruction &i);
	std::string find(const Instruction &i) const;
	std::string free_wrongly(const Instruction &i);
	std::string refusal(Op op, int rc, const Instruction &i, uint64_t size, uint64_t align, unsigned n);
	std::string check_state(bool verify) const;
	std::string give_all_back();

	uint64_t bytes(uint64_t granules) const { return granules * space_.granule; }
	uint64_t random_granule(const Instruction &i) const { return oracle_.first() + i.pick % oracle_.granules(); }
	// First granule that the limit does not allow.
	uint64_t end_of_limit(uint64_t limit) const;

	const ModelSpace &space_;
	Oracle oracle_;
	iovad_domain *domain_;
	std::vector<Held> blocks_, exact_;  // by which pair of functions
	unsigned succeeded_[kOps] = {}, refused_[kOps] = {};
};

}  // namespace iovad::test
