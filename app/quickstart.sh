#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh Debian 12 to iovad's first result: see usage().
set -euo pipefail

# shellcheck source=app/setup/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup/machine.sh"
# shellcheck source=test/vm/setup.sh
. "$REPO/test/vm/setup.sh"

usage() {
	cat <<'USAGE'
Usage: app/quickstart.sh [options] [TRACE...]

Builds iovad, and shows it at work twice:
1. An unmodified testpmd forwards packets between two NICs bound to vfio-pci; its
   mbufs lie where iovad put them and mapped them. In an emulated machine with an
   IOMMU, which changes nothing on this one; or with NICs that you name.
2. Captured DMA traffic is replayed through it, twice each: with the per-lcore
   caches, and with every request going to the range tree. TRACE is raw ftrace text
   of iommu:map and iommu:unmap, plain or .xz; else the two in test/traces.

  --nics A,B    PCI addresses of two NICs of this machine, behind an IOMMU and
                connected to each other: bound to vfio-pci until the end
  --no-testpmd  leave the first part out (and what it needs installed)
  --no-install  install no packages; stop where one is missing
  --no-huge     reserve no huge pages; EAL uses ordinary memory for the second part

As root. On the machine it changes: packages that are missing are installed and
stay; huge pages are reserved and a hugetlbfs is mounted until the end. All else
lies in build/; the tables, pictures and JSON in build/quickstart/.
USAGE
}

BUILD=$REPO/build
OUT=$BUILD/quickstart
HUGE_MIB=512 # for the library's state and EAL's own
INSTALL=1 HUGE=1 TESTPMD=1
NICS=()
TRACES=()

parse_arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--no-install) INSTALL= ;;
		--no-huge) HUGE= ;;
		--no-testpmd) TESTPMD= ;;
		--nics)
			[ $# -ge 2 ] || die "--nics needs two PCI addresses." "As in: --nics 0000:3b:00.0,0000:3b:00.1"
			NICS=(--nics "$2")
			shift
			;;
		-h | --help) usage; exit 0 ;;
		-*) usage >&2; die "unknown option: $1" ;;
		*)
			[ -r "$1" ] || die "no such trace: $1" "Give the path of a readable file."
			TRACES+=("$(realpath "$1")")
			;;
		esac
		shift
	done
	[ ${#TRACES[@]} -gt 0 ] || TRACES=("$REPO"/test/traces/*.ftrace.xz)
}

# Two lcores, the CPUs of the traces here; on a machine of one core they share it.
lcores() { if [ "$(nproc)" -ge 2 ]; then echo "0-1"; else echo "(0-1)@0"; fi; }

eal_arguments() {
	local memory=(--no-huge -m "$HUGE_MIB")
	[ -z "$HUGE" ] || memory=(--huge-dir "$HUGE_DIR")
	EAL=(--lcores "$(lcores)" --file-prefix "iovad-quickstart-$$" --no-pci --no-telemetry
		--log-level lib.eal:warning "${memory[@]}")
}

# The machine for it, or the NICs of this one, see examples/testpmd/README.md.
testpmd() {
	local status=0
	step "testpmd on NICs bound to vfio-pci"
	guarded "$REPO/examples/testpmd/run.sh" "${NICS[@]}" --build "$BUILD" --seconds 10 \
		--json "$OUT/testpmd.json" || status=$?
	[ "$status" -eq 0 ] || die "testpmd's session ended with status $status; what it said is above."
}

# replay TRACE ENGINE
replay() {
	local base status=0
	base=$OUT/$(basename "$1")
	base=${base%.xz} base=${base%.ftrace}-$2
	step "replay of $(basename "$1"), engine $2"
	guarded "$BUILD/app/perf/iovad-perf" "${EAL[@]}" -- replay "$1" --engine "$2" --repeat 5 \
		--json "$base.json" --svg "$base.svg" >"$base.txt" || status=$?
	cat "$base.txt"
	[ "$status" -eq 0 ] || die "iovad-perf ended with status $status; what it said is above."
}

# The session in a line, from its JSON.
packets() {
	python3 - "$OUT/testpmd.json" <<-'END'
		import json, sys
		with open(sys.argv[1], encoding="utf-8") as file:
		    r = json.load(file)
		received = sum(port["RX"] for port in r["ports"].values())
		window = ", ".join(f"{first} - {last}" for first, last in r["window"])
		print(f"testpmd: {received:,} packets received on {len(r['ports'])} ports in {r['seconds']:.0f} s "
		      f"({received / r['seconds']:,.0f} a second), mbufs at {window}")
		print(f"         accesses refused by the IOMMU: {r['faults']}; mapped as iovad says, nothing left behind")
	END
}

# The four tables in one, from the JSON.
compare() {
	python3 - "$OUT"/*-cached.json "$OUT"/*-tree.json <<-'END'
		import json, os, sys
		print(f"{'trace':<30}{'engine':<9}{'events':>9}{'ns/alloc':>10}{'ns/free':>9}"
		      f"{'from caches':>13}{'failed':>8}{'violations':>12}")
		for path in sorted(sys.argv[1:]):
		    with open(path, encoding="utf-8") as file:
		        r = json.load(file)
		    name = os.path.basename(r["file"]).removesuffix(".xz").removesuffix(".ftrace")
		    print(f"{name:<30}{r['engine']:<9}{r['events']:>9}{r['ns_per_alloc']:>10.1f}"
		          f"{r['ns_per_free']:>9.1f}{r['cache_hit_rate']:>13.2%}{r['failed']:>8}{r['violations']:>12}")
	END
}

show_results() {
	local file
	step "results"
	[ -z "$TESTPMD" ] || { packets; say; }
	compare
	say
	say "Pictures of the address space over time (open them in a browser):"
	for file in "$OUT"/*.svg; do say "  $file"; done
	say "The figures as JSON, and the tables of the replays as text:"
	say "  $OUT/*.json"
	say "  $OUT/*.txt"
	say "Next: examples/testpmd/README.md explains the first part, and how to run it on your own NICs;"
	say "test/run.sh runs every test; doc/linking.md says how to link to the library."
}

machine_pieces() { if [ -n "$INSTALL" ]; then vm_setup; else vm_pieces; fi; }

main() {
	local trace
	parse_arguments "$@"
	need_root "app/quickstart.sh"

	step "what is needed"
	if [ -n "$INSTALL" ]; then
		install_packages "${BUILD_PACKAGES[@]}" ${TESTPMD:+dpdk-dev}
	else
		need_tools g++ meson ninja pkg-config ${TESTPMD:+dpdk-testpmd}
	fi
	[ -z "$TESTPMD" ] || [ ${#NICS[@]} -gt 0 ] || machine_pieces
	need_disk "$REPO" 1000 "the build"
	need_memory $((HUGE_MIB + 1024)) "the build and the run"

	step "build into $BUILD"
	on_exit give_folders_to_caller
	configure "$BUILD"
	compile "$BUILD" app/perf/iovad-perf lib/mempool/librte_mempool_iovad.so
	rm -rf "$OUT"
	mkdir -p "$OUT"
	[ -z "$TESTPMD" ] || testpmd

	step "huge pages"
	[ -z "$HUGE" ] || huge_take "$HUGE_MIB"
	[ -n "$HUGE" ] || say "None, as asked (--no-huge)."

	eal_arguments
	for trace in "${TRACES[@]}"; do
		replay "$trace" cached
		replay "$trace" tree
	done
	show_results
}

main "$@"
