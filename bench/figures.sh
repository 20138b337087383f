#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The figures in README.md: measure what its table needs, keep that in doc/figures, write
# the table. IOVAD_BENCH_CPUS and NINJAFLAGS are run.sh's.
set -eu

usage() {
	cat <<-END
	usage: bench/figures.sh [-b build] [-r repetitions] [-n] [PROGRAM...]
	PROGRAM: cache, tree, mempool, lazy, bounce; all of them where none is named. Of the
	others, figures stay as they are.
	  -b  build folder, made if absent           (build-bench)
	  -r  repetitions of each benchmark          (9)
	  -n  measure nothing: write the table of the figures there are
	END
}

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build-bench
repetitions=9
measure=1
while getopts b:r:nh option; do
	case $option in
	b) build=$OPTARG ;;
	r) repetitions=$OPTARG ;;
	n) measure= ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))

table() { python3 -B "$root/bench/readme_table.py" "$@"; }

for program in ${measure:+${*:-cache tree mempool lazy bounce}}; do
	out=$build/bench-figures
	"$root/bench/run.sh" -b "$build" -o "$out" -r "$repetitions" -f "$(table filter "$program")" "$program"
	table keep "$root/doc/figures" "$out/$program.json"
done
table write "$root/README.md" "$root"/doc/figures/*.json
