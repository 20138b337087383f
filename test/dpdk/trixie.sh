#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# trixie.sh: iovad with Debian 13's DPDK (24.11) and compiler, in a chroot that debootstrap makes
# from the mirror that this machine's apt uses. Run by test/run.sh, which counts what the tests in
# the chroot leave in BUILD; here it is said whether they could be built.
#
# Each command in the chroot has its mounts to itself, so that none is left behind whatever happens,
# and "rm -r build-trixie" cannot reach what was mounted there.
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
# shellcheck source=app/setup/machine.sh
. "$SOURCE/app/setup/machine.sh"
forget_log() { rm -f "$TAP_LOG"; } # whose trap is machine.sh's now
on_exit forget_log

PACKAGES=("${BUILD_PACKAGES[@]}" binutils dpdk xz-utils)
# What depends on DPDK's version: core and backends do not see it.
SUITES=(--suite eal --suite mempool --suite loop --suite install --suite examples)
OPTIONS=(-Ddpdk=enabled -Dtests=true -Dapps=enabled -Dexamples=enabled -Dbenchmarks=disabled -Dwerror=true)
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

FOLDER=$REPO/build-trixie
ROOT=$FOLDER/root-$(printf '%s\n' "${PACKAGES[@]}" | sha256sum | cut -c1-8)
BUILD=$FOLDER/dpdk-24.11

# Of Debian itself, not of its updates.
mirror() {
	# shellcheck disable=SC2016 # names of apt's
	apt-get indextargets --format '$(REPO_URI) $(LABEL) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" && $3 !~ /-/ { print $1; exit }'
}

# apt knows whose mirrors they are from lists it has fetched.
has_mirror() { [ -n "$(mirror)" ] || { apt_get update && [ -n "$(mirror)" ]; } >"$WORK/log" 2>&1; }

serves_trixie() {
	guarded /usr/lib/apt/apt-helper -o Acquire::http::Timeout=30 download-file \
		"${1%/}/dists/trixie/InRelease" "$WORK/InRelease" >"$WORK/log" 2>&1
}

# obstacle: prints why there can be no chroot; nothing where there can.
obstacle() {
	if [ "$(id -u)" -ne 0 ]; then
		echo "needs root"
	elif ! unshare --mount true 2>/dev/null; then
		echo "this machine lets nobody mount"
	elif [ -d "$ROOT" ]; then
		return
	elif ! command -v debootstrap >/dev/null || [ ! -r "$KEYS" ]; then
		echo "debootstrap or Debian's keys are not installed"
	elif ! has_mirror; then
		echo "apt has no mirror of Debian"
	elif ! serves_trixie "$(mirror)"; then
		echo "the mirror that apt uses gives no trixie"
	fi
}

# Made aside and renamed; what came of other packages goes.
make_root() {
	rm -rf --one-file-system "$FOLDER"/root-*
	mkdir -p "$FOLDER"
	logged trixie-root debootstrap --variant=minbase --keyring="$KEYS" \
		--include="$(IFS=, && echo "${PACKAGES[*]}")" trixie "$ROOT.new" "$(mirror)"
	rm -rf "$ROOT.new"/var/cache/apt/archives/*.deb
	mv "$ROOT.new" "$ROOT"
}

# within COMMAND...: in the chroot, which has the tree and the huge pages where this machine has them.
within() {
	# shellcheck disable=SC2016 # code for the shell inside
	guarded unshare --mount bash -euc '
		root=$1 repo=$2
		for folder in /dev /proc /sys /run; do mount --rbind "$folder" "$root$folder"; done
		mkdir -p "$root$repo"
		mount --bind "$repo" "$root$repo"
		exec chroot "$root" /usr/bin/env -i -C "${@:2}"' within "$ROOT" "$REPO" \
		HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin ${RUNTIME_DIRECTORY:+RUNTIME_DIRECTORY="$RUNTIME_DIRECTORY"} \
		${IOVAD_TEST_EAL_ARGS:+IOVAD_TEST_EAL_ARGS="$IOVAD_TEST_EAL_ARGS"} "$@"
}

configures() {
	[ ! -f "$BUILD/build.ninja" ] || within meson configure "$BUILD" "${OPTIONS[@]}" >/dev/null || rm -rf "$BUILD"
	[ -f "$BUILD/build.ninja" ] || within meson setup "$BUILD" "$REPO" "${OPTIONS[@]}"
}

has_dpdk_24() { within pkg-config --modversion libdpdk | tee /dev/stderr | grep -q '^24\.11\.'; }

# Tests that are named, and no others, are built before they are run (since meson 1.7).
names() { within meson test -C "$BUILD" --no-rebuild --list "${SUITES[@]}" | sed -n 's#^[^ ]* / ##p'; }

# 125: the build failed. Other failures are those of tests, and counted there.
builds() {
	local status=0 tests
	mapfile -t tests < <(names)
	within meson test -C "$BUILD" --print-errorlogs "${tests[@]}" >"$LOGS/trixie-tests.log" 2>&1 || status=$?
	tail -n 60 "$LOGS/trixie-tests.log"
	[ "$status" -ne 125 ] && [ -s "$BUILD/meson-logs/testlog.json" ]
}

WORK=$(mktemp -d)
forget_work() { rm -rf "$WORK"; }
on_exit forget_work
mkdir -p "$LOGS"
rm -f "$BUILD"/*.xml "$BUILD"/meson-logs/testlog.*

REASON=$(obstacle)
if [ -n "$REASON" ]; then
	skip "Debian 13 with DPDK 24.11" "$REASON"
	done_testing
	exit
fi
[ -d "$ROOT" ] || check "debootstrap makes a chroot of Debian 13" make_root
check "it has DPDK 24.11" has_dpdk_24
check "meson configures" configures
check "library, drivers, programs and tests build" builds
done_testing
