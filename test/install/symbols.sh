#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# symbols.sh SOURCE_DIR LIBIOVAD_SO: what the shared library exports.
set -euo pipefail

SOURCE=$1 LIBRARY=$2
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

exported() { nm -D --defined-only --with-symbol-versions "$LIBRARY"; }

# Version definitions are listed as absolute symbols (A).
functions() { exported | awk '$2 != "A" { print $3 }'; }

# Declarations begin with IOVAD_API or IOVAD_..._API and may go over several lines.
declared() {
	grep -hv '^#' "$SOURCE"/lib/include/iovad/*.h | tr '\n' ' ' |
		grep -oE 'IOVAD_([A-Z]+_)?API [^;(]*\(' | grep -oE 'iovad_[a-z0-9_]+ *\($' | tr -d ' (' | sort -u
}

# Prints what is in the first list and not in the second; succeeds where that is nothing.
none_left() {
	local left
	left=$(comm -23 <(printf '%s\n' "$1" | sort -u) <(printf '%s\n' "$2" | sort -u) | grep . || true)
	echo "$left"
	[ -z "$left" ]
}

all_versioned() { ! functions | grep -vE '^iovad_[a-z0-9_]+@@IOVAD_(INLINE_)?[0-9.]+$'; }

# The map's own list, each with its version.
listed() {
	awk '/^[A-Z]/ { version = $1 } $1 ~ /^iovad_.*;$/ { print substr($1, 1, length($1) - 1) "@@" version }' \
		"$SOURCE/lib/iovad.map"
}

# What inlined code calls has the number of the layout that it was compiled with.
layout_is_the_version() {
	local layout
	layout=$(sed -n 's/^#define IOVAD_HOT_LAYOUT //p' "$SOURCE/lib/include/iovad/iovad_hot.h")
	[ "$(functions | grep -c "_other@@IOVAD_INLINE_$layout\$")" = 5 ]
}

FUNCTIONS=$(functions)
NAMES=$(functions | cut -d@ -f1)
check "something is exported" test -n "$FUNCTIONS"
check "only iovad_*, each with a version IOVAD_*" all_versioned
check "every function of the headers is exported" none_left "$(declared)" "$NAMES"
check "nothing is exported that no header declares" none_left "$NAMES" "$(declared)"
check "everything that the map lists is exported, with that version" none_left "$(listed)" "$FUNCTIONS"
check "nothing is exported that the map does not list" none_left "$FUNCTIONS" "$(listed)"
check "what inlined code calls has the version of the layout" layout_is_the_version
check "the library has a soname" sh -c "readelf -d '$LIBRARY' | grep -q 'SONAME.*libiovad.so'"
done_testing
