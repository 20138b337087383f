#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# package.sh SOURCE_DIR BUILD_DIR: what "meson install" puts down serves a C program
# that knows nothing but "pkg-config libiovad". The program is README.md's example.
set -euo pipefail

SOURCE=$1 BUILD=$2
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT
export RUNTIME_DIRECTORY=${RUNTIME_DIRECTORY:-$WORK/runtime}
mkdir -p "$RUNTIME_DIRECTORY"
read -ra EAL <<<"${IOVAD_TEST_EAL_ARGS:---no-huge -m 256}"
EAL+=(--no-pci --no-telemetry --file-prefix "iovad-package-$$")
TESTPMD=("${EAL[@]}" --lcores "(0-1)@0" --vdev=net_null0)
EAL+=(-l 0)
export LD_BIND_NOW=1 # a driver that lacks a function says so when it is loaded, not at the first call

# The first block of C in README.md.
example() { awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$SOURCE/README.md"; }

# As if installed where the prefix says: the one line that DESTDIR makes untrue.
move_package() {
	local file prefix
	file=$(find "$WORK/root" -name libiovad.pc)
	prefix=$(sed -n 's/^prefix=//p' "$file")
	LIBDIR=$(dirname "$(dirname "$file")")
	sed -i "s#^prefix=.*#prefix=$WORK/root$prefix#" "$file"
	export PKG_CONFIG_PATH=$LIBDIR/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
}

flags() { read -ra FLAGS <<<"$(pkg-config "$@" libiovad)"; }

build_shared() {
	flags --cflags --libs
	gcc -std=gnu11 -Wall -Wextra -Werror "$WORK/example.c" -o "$WORK/shared" "${FLAGS[@]}"
}

build_optimized() {
	flags --cflags --libs
	gcc -std=gnu11 -O2 -Wall -Wextra -Werror "$WORK/example.c" -o "$WORK/optimized" "${FLAGS[@]}"
}

# The loader refuses such a program where the library's layout has another number.
needs_layout() { readelf -V "$WORK/optimized" | grep -q 'Name: IOVAD_INLINE_[0-9]'; }
calls_no_alloc() { ! nm -D "$WORK/optimized" | grep -qE 'iovad_(alloc|free)(@|$)'; }

build_static() {
	flags --cflags --libs
	FLAGS=("${FLAGS[@]/#-liovad/-l:libiovad.a}")
	gcc -std=gnu11 -Wall -Wextra -Werror "$WORK/example.c" -o "$WORK/static" "${FLAGS[@]}" \
		-lstdc++ -ltbb -lpthread
}

build_cxx() {
	flags --cflags --libs
	g++ -std=c++17 -x c++ -Wall -Wextra -Werror "$WORK/example.c" -o "$WORK/cxx" "${FLAGS[@]}"
}

run_shared() { LD_LIBRARY_PATH=$LIBDIR "$WORK/$1" "${EAL[@]}"; }

ldconfig_finds_it() { ldconfig -n -X -v "$LIBDIR" | grep 'libiovad\.so\.0 '; }

is_linked() { readelf -d "$WORK/$1" | grep -q 'NEEDED.*libiovad'; }
is_not_linked() { ! is_linked "$1"; }

requires_dpdk() { pkg-config --print-requires libiovad | grep -q '^libdpdk'; }

version_is_the_projects() {
	local version
	version=$(sed -n "s/^ *version: *'\([0-9.]*\)'.*/\1/p" "$SOURCE/meson.build" | head -1)
	pkg-config --modversion libiovad
	[ "$(pkg-config --modversion libiovad)" = "$version" ]
}

# The same headers in the tree and installed.
headers_installed() { diff -r "$SOURCE/lib/include/iovad" "$(dirname "$(find "$WORK/root" -name iovad.h)")"; }

is_beside_library() { test -f "$LIBDIR/$1" -a -f "$LIBDIR/libiovad.so.0"; }

# By its name alone: where EAL is given no path, it loads as the dynamic linker does.
testpmd_loads_plugin() {
	# Without a terminal it ends as soon as it has started.
	LD_LIBRARY_PATH=$LIBDIR IOVAD_MEMPOOL=stats=1 dpdk-testpmd "${TESTPMD[@]}" -d librte_mempool_iovad.so \
		--mbuf-pool-ops-name=iovad -- --total-num-mbufs=4096 >"$WORK/testpmd" 2>&1
	cat "$WORK/testpmd"
	grep -q '^  0x.* live  -> 0x' "$WORK/testpmd"
}

# The port starts with a domain of the software IOMMU's that the mempool driver made.
testpmd_loads_nic() {
	LD_LIBRARY_PATH=$LIBDIR IOVAD_MEMPOOL=backend=soft dpdk-testpmd "${TESTPMD[@]}" -d librte_mempool_iovad.so \
		-d librte_net_iovad_loop.so --vdev=net_iovad_loop0,mac=02:00:00:00:00:09 --mbuf-pool-ops-name=iovad \
		-- --total-num-mbufs=4096 >"$WORK/testpmd" 2>&1
	cat "$WORK/testpmd"
	grep -q '^Port 1: 02:00:00:00:00:09' "$WORK/testpmd" && ! grep -q IOVAD_LOOP "$WORK/testpmd"
}

# With their contents, where man looks for them.
manual_installed() {
	local page share
	share=$(dirname "$(find "$WORK/root" -type d -name man)")
	for page in "$SOURCE"/doc/man/*.[1-9]; do
		cmp "$page" "$share/man/man${page##*.}/$(basename "$page")"
	done
}

# By its link in bin, from where it finds its modules.
top_starts() { "$(find "$WORK/root" -name iovad-top)" --help; }

example >"$WORK/example.c"
check "meson install into a DESTDIR" meson install -C "$BUILD" --no-rebuild --destdir "$WORK/root"
move_package
check "all public headers are installed" headers_installed
check "pkg-config finds libiovad" pkg-config --exists --print-errors libiovad
check "pkg-config requires libdpdk" requires_dpdk
check "pkg-config gives the project's version" version_is_the_projects
check "README's example builds as C with the shared library" build_shared
check "ldconfig finds that" ldconfig_finds_it
check "it is linked to the shared library" is_linked shared
check "it runs" run_shared shared
check "README's example builds as C, optimized" build_optimized
check "iovad_alloc() and iovad_free() are inlined" calls_no_alloc
check "so the program asks for the layout it was compiled with" needs_layout
check "it runs optimized" run_shared optimized
check "README's example builds as C with the static library" build_static
check "it needs no libiovad.so" is_not_linked static
check "it runs with the static library" "$WORK/static" "${EAL[@]}"
check "README's example builds as C++17" build_cxx
check "it runs as C++" run_shared cxx
check "the mempool driver is installed beside the library" is_beside_library librte_mempool_iovad.so
NIC="the virtual NIC is installed beside the library"
if [ -f "$BUILD/lib/loop/librte_net_iovad_loop.so" ]; then
	check "$NIC" is_beside_library librte_net_iovad_loop.so
else
	skip "$NIC" "this DPDK does not install what drivers need"
fi
check "iovad-top is installed, and starts" top_starts
check "the manual pages are installed" manual_installed
if command -v dpdk-testpmd >/dev/null; then
	check "testpmd loads the mempool driver by its name" testpmd_loads_plugin
	[ ! -f "$LIBDIR/librte_net_iovad_loop.so" ] || check "and the virtual NIC" testpmd_loads_nic
else
	skip "testpmd loads the drivers by their names" "dpdk-testpmd is not installed"
fi
done_testing
