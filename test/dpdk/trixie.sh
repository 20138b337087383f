#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# trixie.sh: iovad with Debian 13's DPDK (24.11) and compiler, in a chroot that debootstrap makes
# from the mirror that this machine's apt uses. Run by test/run.sh, which counts what the tests in
# the chroot leave in BUILD; here it is said whether they could be built. All in build-trixie/.
set -euo pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
FOLDER=$SOURCE/build-trixie
BUILD=$FOLDER/dpdk-24.11
CHROOT_CACHE=$FOLDER/chroot CHROOT_RELEASE=trixie
# shellcheck source=test/lib/chroot.sh
. "$SOURCE/test/lib/chroot.sh"
TROUBLE=$(chroot_trouble)
[ -n "$TROUBLE" ] || private_mounts bash "${BASH_SOURCE[0]}"
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
# shellcheck source=app/setup/machine.sh
. "$SOURCE/app/setup/machine.sh"
forget_log() { rm -f "$TAP_LOG"; } # whose trap is machine.sh's now
on_exit forget_log

PACKAGES=(gcc g++ meson ninja-build pkgconf libdpdk-dev libtbb-dev liblzma-dev libgtest-dev libgmock-dev
	dpdk dpdk-dev xz-utils)
# What depends on DPDK's version: core and backends do not see it. Of "loop" there is something only
# where DPDK installs the headers of drivers, which Debian's does not.
SUITES=(--suite eal --suite mempool --suite loop --suite install --suite examples)
OTHERS=(testpmd top) # whose output is DPDK's
# -O1 and no debug information: compiling is most of what this takes.
OPTIONS=(-Ddpdk=enabled -Dtests=true -Dapps=enabled -Dexamples=enabled -Dbenchmarks=disabled -Dwerror=true
	-Doptimization=1 -Ddebug=false)

# apt knows its mirrors once it has fetched their lists.
has_mirror() { [ -n "$(mirror)" ] || { apt_get update && [ -n "$(mirror)" ]; } >"$LOGS/trixie-mirror.log" 2>&1; }

serves_trixie() {
	guarded /usr/lib/apt/apt-helper -o Acquire::http::Timeout=30 download-file \
		"${1%/}/dists/trixie/InRelease" "$FOLDER/InRelease" >"$LOGS/trixie-mirror.log" 2>&1
}

# Why there can be no such chroot here; nothing where there can.
trouble() {
	if [ -n "$TROUBLE" ]; then
		echo "$TROUBLE"
	elif ! has_mirror; then
		echo "apt has no mirror of Debian"
	elif ! serves_trixie "$(mirror)"; then
		echo "the mirror that apt uses gives no trixie"
	fi
}

# The tree is where it is here: paths in the build serve both.
prepare() {
	chroot_make && inside apt-get -q install -y "${PACKAGES[@]}" &&
		mount --rbind /dev "$CHROOT/dev" &&
		mount --rbind /run "$CHROOT/run" && # huge pages
		mkdir -p "$CHROOT$SOURCE" && mount --bind "$SOURCE" "$CHROOT$SOURCE"
}

# within COMMAND...: in the tree in the chroot, with huge pages where this machine has them.
within() {
	guarded "${INSIDE[@]}" env -C "$SOURCE" ${RUNTIME_DIRECTORY:+RUNTIME_DIRECTORY="$RUNTIME_DIRECTORY"} \
		${IOVAD_TEST_EAL_ARGS:+IOVAD_TEST_EAL_ARGS="$IOVAD_TEST_EAL_ARGS"} "$@"
}

has_dpdk_24() { within pkg-config --modversion libdpdk | tee /dev/stderr | grep -q '^24\.11\.'; }

configures() {
	[ ! -f "$BUILD/build.ninja" ] || within meson configure "$BUILD" "${OPTIONS[@]}" >/dev/null || rm -rf "$BUILD"
	[ -f "$BUILD/build.ninja" ] || within meson setup "$BUILD" "$SOURCE" "${OPTIONS[@]}"
}

# Tests that are named, and no others, are built before they are run (since meson 1.7).
names() { within meson test -C "$BUILD" --no-rebuild --list "${SUITES[@]}" | sed -n 's#^[^ ]* / ##p'; }

# 125: the build failed. Other failures are those of tests, and counted there.
builds() {
	local status=0 tests
	mapfile -t tests < <(names)
	within meson test -C "$BUILD" --print-errorlogs "${tests[@]}" "${OTHERS[@]}" >"$LOGS/trixie-tests.log" 2>&1 || status=$?
	tail -n 60 "$LOGS/trixie-tests.log"
	[ "$status" -ne 125 ] && [ -s "$BUILD/meson-logs/testlog.json" ]
}

mkdir -p "$LOGS" "$CHROOT_CACHE"
rm -f "$BUILD"/*.xml "$BUILD"/meson-logs/testlog.*

TROUBLE=$(trouble)
if [ -n "$TROUBLE" ]; then
	skip "Debian 13 with DPDK 24.11" "$TROUBLE"
	done_testing
	exit
fi
check "debootstrap makes a minimal Debian 13" chroot_base
check "what iovad is built with is installed" prepare
check "it has DPDK 24.11" has_dpdk_24
check "meson configures" configures
check "library, drivers, programs and tests build" builds
done_testing
