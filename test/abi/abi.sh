#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# abi.sh SOURCE_DIR LIBIOVAD_SO [--update]: programs that were built with the last release run with
# this library. What it promised them is in lib/abi/RELEASE: functions.abi, the functions and
# the types they take; layout.abi, the structs that inlined code has compiled into programs
# (iovad_hot.h); constants.txt, the macros that are numbers. --update writes them anew: for a
# release (doc/packaging.md).
set -euo pipefail

SOURCE=$1 LIBRARY=$2 UPDATE=${3:-}
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

HEADERS=$SOURCE/lib/include
WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

read -ra DPDK <<<"$(pkg-config --cflags libdpdk)"
# Nothing in it that differs from machine to machine.
DUMP=(abidw --drop-private-types --suppressions "$SOURCE/test/abi/others.suppr" --exported-interfaces-only
	--no-architecture --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-parameter-names)

# A domain's front leads to all the structs.
build_layout() {
	gcc -std=c11 -g -shared -fPIC -I "$HEADERS" -x c - -o "$1" <<-'END'
		#include <iovad/iovad_hot.h>
		struct iovad_hot_domain iovad_hot_layout;
	END
}

constants() {
	local header
	for header in "$HEADERS"/iovad/*.h; do echo "#include <iovad/${header##*/}>"; done |
		gcc -std=c11 -D_GNU_SOURCE -I "$HEADERS" "${DPDK[@]}" -E -dM - |
		sed -nE 's/^#define (IOVAD_[A-Z0-9_]+ [(0-9].*)/\1/p' | sort
}

# dump FOLDER
dump() {
	mkdir -p "$1"
	build_layout "$WORK/layout.so"
	"${DUMP[@]}" --headers-dir "$HEADERS" --out-file "$1/functions.abi" "$LIBRARY"
	"${DUMP[@]}" --headers-dir "$HEADERS" --out-file "$1/layout.abi" "$WORK/layout.so"
	constants >"$1/constants.txt"
}

same_types() { abidiff --no-added-syms "$1" "$2"; }

# same_constants PATTERN THEN NOW: each that matches is still there, with its value.
same_constants() {
	local gone
	gone=$(comm -23 "$2" "$3" | grep -E -- "$1" || true)
	[ -z "$gone" ] || { printf 'gone, or with another value:\n%s\n' "$gone"; return 1; }
}

advise() { echo; printf '%s\n' "$@"; return 1; }

# Of each of these: THEN NOW, two folders. More functions and constants there may be.
functions_kept() {
	same_types "$1/functions.abi" "$2/functions.abi" || advise \
		"Programs built with iovad $RELEASE do not run with this library. Take the change back, put a new" \
		"function beside the old one, or, if it is meant, raise the soname: doc/packaging.md."
}

constants_kept() {
	same_constants '^IOVAD_([^H]|H[^O])' "$1/constants.txt" "$2/constants.txt" || advise \
		"Programs have these numbers compiled in. Take the change back, or raise the soname: doc/packaging.md."
}

same_layout() {
	same_types "$1/layout.abi" "$2/layout.abi" &&
		same_constants '^IOVAD_HOT_' "$1/constants.txt" "$2/constants.txt"
}

layout_kept() {
	same_layout "$1" "$2" || advise \
		"Programs built with iovad $RELEASE have these structs compiled in. Take the change back, or raise" \
		"IOVAD_HOT_LAYOUT in iovad_hot.h and IOVAD_INLINE_<number> in lib/iovad.map, and see doc/packaging.md."
}

# must_see NAME CHECK FILE SED-SCRIPT: with another past, of which this is no continuation.
must_see() {
	rm -rf "$WORK/planted"
	cp -r "$WORK/now" "$WORK/planted"
	sed -i -E "$4" "$WORK/planted/$3"
	check_fails 1 'Programs' "$1 would be seen" "$2" "$WORK/planted" "$WORK/now"
}

update() {
	local version
	version=$(sed -n "s/^ *version: *'\([0-9.]*\)'.*/\1/p" "$SOURCE/meson.build" | head -1)
	rm -rf "$SOURCE/lib/abi"
	check "lib/abi/$version is written" dump "$SOURCE/lib/abi/$version"
}

soname() { readelf -d "$LIBRARY" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p'; }
soname_then() { sed -n "s/.*<abi-corpus .*soname='\([^']*\)'.*/\1/p" "$THEN/functions.abi"; }
layout_number() { sed -n 's/^IOVAD_HOT_LAYOUT //p' "$1/constants.txt"; }

compare() {
	local name="programs built with iovad $RELEASE run with this library"
	check "the library can be described" dump "$WORK/now"
	if [ "$(soname)" = "$(soname_then)" ]; then
		check "$name: functions and types" functions_kept "$THEN" "$WORK/now"
		check "$name: constants" constants_kept "$THEN" "$WORK/now"
	else
		skip "$name" "it is $(soname), that was $(soname_then)"
	fi
	if [ "$(layout_number "$THEN")" = "$(layout_number "$WORK/now")" ]; then
		check "a layout of the same number is the same" layout_kept "$THEN" "$WORK/now"
	else
		skip "a layout of the same number is the same" "it has another number"
	fi
	must_see "a function that goes" functions_kept functions.abi "s/'iovad_verify(['@])/'iovad_verified\1/"
	must_see "a function that takes something else" functions_kept functions.abi \
		"/<function-decl name='iovad_verify'/,/<return/ s/<return type-id='[^']*'/<return type-id='type-id-1'/"
	must_see "a struct that grows" functions_kept functions.abi \
		"s/(class-decl name='iovad_domain_conf' size-in-bits=')[0-9]+/\164/"
	must_see "a constant that changes" constants_kept constants.txt 's/^(IOVAD_FROM_DEVICE).*/\1 4u/'
	must_see "a layout that changes" layout_kept layout.abi "0,/<subrange length='126'/ s/length='126'/length='125'/"
}

if ! command -v abidw >/dev/null; then
	skip "the ABI is that of the last release" "abidw is not installed (Debian: abigail-tools)"
elif ! readelf -S "$LIBRARY" | grep -q '\.debug_info'; then
	skip "the ABI is that of the last release" "the library has no debug information (-Ddebug=true)"
elif [ -n "$UPDATE" ]; then
	update
else
	THEN=$(echo "$SOURCE"/lib/abi/*) RELEASE=$(basename "$SOURCE"/lib/abi/*)
	compare
fi
done_testing
