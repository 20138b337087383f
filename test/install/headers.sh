#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# headers.sh SOURCE_DIR BUILD_DIR: each public header compiles alone, as C11 and C++17.
set -euo pipefail

SOURCE=$1
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

read -ra DPDK <<<"$(pkg-config --cflags libdpdk)"

# compiles COMPILER LANGUAGE STANDARD HEADER
compiles() {
	"$1" -x "$2" -std="$3" -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
		-I "$SOURCE/lib/include" "${DPDK[@]}" - <<<"#include <iovad/$(basename "$4")>"
}

# Twice in one file: the include guard.
compiles_twice() {
	gcc -x c -std=c11 -Wall -Werror -fsyntax-only -I "$SOURCE/lib/include" "${DPDK[@]}" - <<-END
		#include <iovad/$(basename "$1")>
		#include <iovad/$(basename "$1")>
	END
}

for header in "$SOURCE"/lib/include/iovad/*.h; do
	name=$(basename "$header")
	for variant in "gcc c c11" "g++ c++ c++17" "clang c c11" "clang++ c++ c++17"; do
		read -r compiler language standard <<<"$variant"
		if command -v "$compiler" >/dev/null; then
			check "$name alone as $standard with $compiler" \
				compiles "$compiler" "$language" "$standard" "$header"
		else
			skip "$name alone as $standard with $compiler" "$compiler is not installed"
		fi
	done
	check "$name included twice" compiles_twice "$header"
done
done_testing
