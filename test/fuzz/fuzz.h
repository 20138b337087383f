// SPDX-License-Identifier: BSD-3-Clause
// What the fuzz targets share. A check is GoogleTest's EXPECT_...: one that fails throws, nobody
// catches, and so libFuzzer keeps the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerInitialize(int *argc, char ***argv);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace iovad::fuzz {

inline void throw_on_failure() { testing::GTEST_FLAG(throw_on_failure) = true; }

// An input as a program: numbers taken off its front. Zeros where it has ended.
class Input {
public:
	Input(const uint8_t *data, size_t size) : at_(data), end_(data + size) {}

	bool ended() const { return at_ == end_; }
	uint8_t byte() { return ended() ? 0 : *at_++; }
	uint16_t word()
	{
		const unsigned high = byte();
		return static_cast<uint16_t>(high << 8 | byte());
	}
	// The same number of bytes whatever n is, so that one changed byte changes one number.
	uint64_t below(uint64_t n) { return n <= 256 ? byte() % n : word() % n; }

	// Mostly short lengths; powers of two and their neighbours up to `most`.
	uint64_t length(uint64_t most)
	{
		const uint64_t b = byte();
		const uint64_t length = b < 192 ? 1 + b % 96 : (uint64_t{1} << (b - 192) / 4) + b % 4 - 1;
		return length < 1 ? 1 : length > most ? most : length;
	}

private:
	const uint8_t *at_, *end_;
};

// One of so many operations each step, until the input has ended. Checked every so many, and then.
template <class Step, class Check>
void run_steps(Input &in, unsigned ops, unsigned checked_every, Step step, Check check)
{
	for (unsigned n = 1; !in.ended(); ++n) {
		step(in.below(ops));
		if (n % checked_every == 0)
			check();
	}
	check();
}

inline std::string_view text_of(const uint8_t *data, size_t size)
{
	return {reinterpret_cast<const char *>(data), size};
}

}  // namespace iovad::fuzz
