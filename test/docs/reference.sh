#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# reference.sh SOURCE_DIR LIBIOVAD_SO: doxygen makes the reference of the public headers without a warning: each
# parameter, return value and member has its words. And it would warn.
set -euo pipefail

SOURCE=$1 LIBRARY=$2
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

# As meson configures it, from and to $WORK.
reference() {
	sed "s#@SOURCE@#$WORK#g; s#@OUTPUT@#$WORK#; s#@VERSION@#0#" "$SOURCE/doc/reference/Doxyfile.in" >"$WORK/Doxyfile"
	doxygen "$WORK/Doxyfile"
}

# warned EXPRESSION HEADER MESSAGE: the reference once sed has taken something from a header.
warned() {
	local header=$WORK/lib/include/iovad/$2 status=0
	sed -i.whole "$1" "$header"
	reference >"$WORK/said" 2>&1 || status=$?
	mv "$header.whole" "$header"
	cat "$WORK/said"
	[ "$status" -ne 0 ] && grep -q "$3" "$WORK/said"
}

# Those of inlined code are no one's to call.
functions() { nm -D --defined-only "$LIBRARY" | awk '$2 != "A" { print $3 }' | cut -d@ -f1 | grep -v '_other$'; }

# What is in no module is in no page, and nobody is warned of it.
all_functions() {
	sed -n 's/.*<li>\(iovad_[a-z0-9_]*\)().*/\1/p' "$WORK/html/globals_func.html" | sort -u >"$WORK/found"
	diff <(functions | sort -u) "$WORK/found"
}

if ! command -v doxygen >/dev/null; then
	echo "1..0 # SKIP doxygen is not installed"
	exit 0
fi
mkdir -p "$WORK/lib/include" "$WORK/doc"
cp -r "$SOURCE/lib/include/iovad" "$WORK/lib/include"
cp -r "$SOURCE/doc/reference" "$WORK/doc"
check "the reference of the headers, without a warning" reference
check "each exported function is in it" all_functions
check "it would warn of a parameter without a word" warned '/^ \* @param len bytes, at least 1/d' \
	iovad_dma.h "parameter 'len'"
check "and of a return value" warned '/^ \* @return how much/,/^ \*\//{/\*\//!d}' \
	iovad_control.h "return type of member iovad_control_poll"
check "and of a member" warned '/uint64_t used_bytes/s#/\*.*##' iovad_bounce.h "used_bytes"
check "and of a function" warned '$!N; s#/\*\*\n \* Start a thread#/*\n * Start a thread#; P; D' \
	iovad_control.h "iovad_control_thread_start"
done_testing
