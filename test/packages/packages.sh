#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian packages: built from a copy of the tree, installed into a minimal system, used there
# as a user would, and purged. All in build-packages/; the packages stay there.
set -euo pipefail

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$SOURCE/build-packages
CHROOT_CACHE=$WORK/chroot
# shellcheck source=test/lib/chroot.sh
. "$SOURCE/test/lib/chroot.sh"
TROUBLE=$(chroot_trouble)
[ -n "$TROUBLE" ] || private_mounts bash "${BASH_SOURCE[0]}"
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

NAMES=(libiovad0 libiovad-dev iovad-tools)
DRIVERS=(librte-mempool-iovad librte-net-iovad-loop)
EAL=(--no-huge -m 256 --no-pci --no-telemetry --no-shconf --lcores "(0-1)@0")

build_packages() {
	rm -rf "$WORK/src" "$WORK"/*.deb
	mkdir -p "$WORK/src"
	tar -C "$SOURCE" --exclude=./build* --exclude=./.git -c . | tar -C "$WORK/src" -x
	(cd "$WORK/src" && DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)" dpkg-buildpackage -b -us -uc)
}

all_are_built() {
	local name
	for name in "${NAMES[@]}" "${DRIVERS[@]}"; do ls "$WORK/${name}"_*.deb; done
}

# has PACKAGE FILE...: below usr/share, compressed.
has() {
	local file
	for file in "${@:2}"; do dpkg -c "$WORK/$1"_*.deb | grep "/usr/share/$file.gz$" || return; done
}

have_guides() {
	has libiovad-dev doc/libiovad-dev/linking.md && has iovad-tools doc/iovad-tools/operating.md &&
		has librte-mempool-iovad doc/librte-mempool-iovad/mempool.md &&
		has librte-net-iovad-loop doc/librte-net-iovad-loop/loop.md
}

lintian_is_content() { lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$WORK"/iovad_*.changes; }

# install NAME...: a package of ours from its file; apt finds what it depends on.
install() {
	local name files=()
	for name in "$@"; do
		[ ! -f "$(echo "$WORK/${name}"_*.deb)" ] || name=/packages/$(basename "$WORK/${name}"_*.deb)
		files+=("$name")
	done
	inside apt-get -q install -y "${files[@]}"
}

# Without a terminal testpmd ends as soon as it has started.
testpmd_finds_drivers() {
	inside env IOVAD_MEMPOOL=backend=soft,stats=1 dpdk-testpmd "${EAL[@]}" --mbuf-pool-ops-name=iovad \
		--vdev=net_iovad_loop0,mac=02:00:00:00:00:09 -- --total-num-mbufs=4096 >"$WORK/testpmd.log" 2>&1
	cat "$WORK/testpmd.log"
	grep -q '^  0x.* live  -> 0x' "$WORK/testpmd.log" && grep -q '^Port 0: 02:00:00:00:00:09' "$WORK/testpmd.log"
}

replays() {
	inside iovad-perf "${EAL[@]}" -- replay /traces/nvme-fio-strict.ftrace.xz
}

build_by_pkg_config() {
	inside sh -c "gcc -O2 -Wall -Werror /consumer/minimal.c -o /consumer/by-pkg-config \$(pkg-config --cflags --libs libiovad)"
}

build_static() {
	inside sh -c "gcc -O2 -Wall -Werror /consumer/minimal.c -o /consumer/static \
		\$(pkg-config --cflags --libs libiovad | sed 's/-liovad/-l:libiovad.a/') -lstdc++ -ltbb"
}

build_by_cmake() {
	inside cmake -S /consumer -B /consumer/build -DSOURCE=/consumer/minimal.c &&
		inside cmake --build /consumer/build
}

is_too_new() { inside sh -c "sed -i 's/iovad 0.1/iovad 0.2/' /consumer/CMakeLists.txt && cmake -S /consumer -B /consumer/new"; }

# Also what no package knows of, as Python's compiled files.
nothing_left() {
	local left
	left=$(inside find / -xdev \( -path /proc -o -path /sys -o -path /packages \) -prune -o -name '*iovad*' -print
		inside dpkg-query --list '*iovad*' 2>/dev/null | grep -v '^[A-Z|+]' | grep -v '^un' || true)
	echo "$left"
	[ -z "$left" ]
}

take_in() {
	chroot_make &&
		mkdir "$CHROOT/packages" "$CHROOT/traces" "$CHROOT/consumer" &&
		cp "$WORK"/*.deb "$CHROOT/packages/" && cp "$SOURCE"/test/traces/* "$CHROOT/traces/" &&
		cp "$SOURCE/examples/minimal/minimal.c" "$SOURCE/test/packages/consumer/CMakeLists.txt" "$CHROOT/consumer/"
}

# As much as they depend on, and no more.
check_runtime() {
	check "the library, the tools and the drivers are installed" \
		install libiovad0 iovad-tools "${DRIVERS[@]}"
	check "iovad-perf --help" inside iovad-perf --help
	check "iovad-perf replays a trace" replays
	check "iovad-top --help" inside iovad-top --help
	check "testpmd is installed" install dpdk-dev
	check "it finds the mempool driver and the virtual NIC without -d" testpmd_finds_drivers
}

check_development() {
	check "libiovad-dev is installed" install libiovad-dev
	check "compilers are installed" install gcc g++ pkgconf cmake make
	check "a program is built through pkg-config" build_by_pkg_config
	check "it runs, built through pkg-config" inside /consumer/by-pkg-config "${EAL[@]}"
	check "it is built through CMake" build_by_cmake
	check "it runs, built through CMake" inside /consumer/build/consumer "${EAL[@]}"
	check_fails 1 'version.*0\.2' "CMake takes no other minor version" is_too_new
	check "it is built with the static library" build_static
	# With a driver there would be two libraries in the process.
	check "the drivers are purged" inside apt-get -q purge -y "${DRIVERS[@]}"
	check "it runs with the static library" inside /consumer/static "${EAL[@]}"
}

check_removal() {
	check "the others are purged" inside apt-get -q purge -y "${NAMES[@]}"
	check "nothing is left behind" nothing_left
}

mkdir -p "$CHROOT_CACHE"
if [ -z "$TROUBLE" ]; then
	chroot_base >"$WORK/debootstrap.log" 2>&1 & # beside the compiler
	BASE=$!
fi
check "the packages are built" build_packages
check "all of them" all_are_built
check "lintian is content" lintian_is_content
check "the manual pages come with the programs" has iovad-tools man/man{1/iovad-perf.1,1/iovad-top.1,7/iovad.7}
check "each package comes with its guide" have_guides
check "the ABI of what is packaged" bash "$SOURCE/test/abi/abi.sh" "$SOURCE" "$WORK"/src/build-debian/lib/libiovad.so.0
if [ -n "$TROUBLE" ]; then
	skip "the packages are installed and used" "$TROUBLE"
else
	trap 'chroot_remove; rm -f "$TAP_LOG"' EXIT
	check "a minimal system is made" wait "$BASE"
	check "it has a copy of the packages" take_in
	check_runtime
	check_development
	check_removal
fi
done_testing
