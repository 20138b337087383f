#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh Debian 12 to iovad's first result: see usage().
set -euo pipefail

# shellcheck source=app/setup/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup/machine.sh"

usage() {
	cat <<'USAGE'
Usage: app/quickstart.sh [--no-install] [--no-huge] [TRACE...]

Builds iovad and replays captured DMA traffic through it, twice each: with the
per-lcore caches, and with every request going to the range tree.
TRACE is raw ftrace text of iommu:map and iommu:unmap, plain or .xz; without one,
the two traces in test/traces are taken.

  --no-install  install no packages; stop where one is missing
  --no-huge     reserve no huge pages; EAL uses ordinary memory

As root. On the machine it changes: packages that are missing are installed and
stay; huge pages are reserved and a hugetlbfs is mounted until the end. All else
lies in build/; the tables, pictures and JSON in build/quickstart/.
USAGE
}

BUILD=$REPO/build
OUT=$BUILD/quickstart
HUGE_MIB=512 # for the library's state and EAL's own
INSTALL=1 HUGE=1
TRACES=()

parse_arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--no-install) INSTALL= ;;
		--no-huge) HUGE= ;;
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

# The four tables in one, from the JSON.
compare() {
	python3 - "$OUT"/*.json <<-'END'
		import json, os, sys
		print(f"{'trace':<30}{'engine':<9}{'events':>9}{'ns/alloc':>10}{'ns/free':>9}"
		      f"{'from caches':>13}{'failed':>8}{'violations':>12}")
		for path in sys.argv[1:]:
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
	compare
	say
	say "Pictures of the address space over time (open them in a browser):"
	for file in "$OUT"/*.svg; do say "  $file"; done
	say "The figures as JSON, and the tables above as text:"
	say "  $OUT/*.json"
	say "  $OUT/*.txt"
	say "Next: test/run.sh runs every test; README.md says how to link to the library."
}

main() {
	local trace
	parse_arguments "$@"
	need_root "app/quickstart.sh"

	step "what is needed"
	if [ -n "$INSTALL" ]; then
		install_packages "${BUILD_PACKAGES[@]}"
	else
		need_tools g++ meson ninja pkg-config
	fi
	need_disk "$REPO" 1000 "the build"
	need_memory $((HUGE_MIB + 1024)) "the build and the run"

	step "build into $BUILD"
	on_exit give_folders_to_caller
	configure "$BUILD"
	compile "$BUILD" app/perf/iovad-perf

	step "huge pages"
	[ -z "$HUGE" ] || huge_take "$HUGE_MIB"
	[ -n "$HUGE" ] || say "None, as asked (--no-huge)."

	rm -rf "$OUT"
	mkdir -p "$OUT"
	eal_arguments
	for trace in "${TRACES[@]}"; do
		replay "$trace" cached
		replay "$trace" tree
	done
	show_results
}

main "$@"
