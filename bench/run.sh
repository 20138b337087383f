#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Build the benchmarks if needed, run them pinned and with their repetitions in random
# order, so that what disturbs the machine disturbs all contestants alike; print one
# table, then what was aimed at and reached (goals.py), and leave these, the JSON and plots
# (plots.py) in a folder.
set -eu

usage() {
	cat <<-END
	usage: bench/run.sh [-b build] [-o results] [-r repetitions] [-t seconds] [-f regex] [PROGRAM...]
	PROGRAM: tree, cache, lazy, mempool, bounce, soft, setup, aging; all of them where none is named
	  -b  build folder, made if absent           (build-bench)
	  -o  folder for tables, JSON and plots      (<build>/bench-results)
	  -r  repetitions of each benchmark          (9)
	  -t  seconds for one repetition             (0.05)
	  -f  only benchmarks whose name matches, <case>/<contestant>
	IOVAD_BENCH_CPUS: the CPUs to pin to, as 2,3; the first measures (default: the last
	two that this shell may use).
	END
}

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build-bench
out=
repetitions=9
seconds=0.05
filter=.
while getopts b:o:r:t:f:h option; do
	case $option in
	b) build=$OPTARG ;;
	o) out=$OPTARG ;;
	r) repetitions=$OPTARG ;;
	t) seconds=$OPTARG ;;
	f) filter=$OPTARG ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
programs=${*:-tree cache lazy mempool bounce soft setup aging}
out=${out:-$build/bench-results}

if [ -z "${IOVAD_BENCH_CPUS:-}" ]; then
	IOVAD_BENCH_CPUS=$(python3 -c 'import os; print(*sorted(os.sched_getaffinity(0))[-2:][::-1], sep=",")')
fi
export IOVAD_BENCH_CPUS

[ -f "$build/build.ninja" ] ||
	meson setup "$build" "$root" --buildtype=release -Dtests=false -Dapps=disabled -Dexamples=disabled
for program in $programs; do
	# NINJAFLAGS is for -j on a shared machine.
	# shellcheck disable=SC2086
	ninja -C "$build" ${NINJAFLAGS:-} "bench/${program}_bench"
done

mkdir -p "$out"
json=
for program in $programs; do
	case $program in
	tree | aging) pin="taskset -c ${IOVAD_BENCH_CPUS%%,*}" ;;
	bounce | soft) pin="taskset -c $IOVAD_BENCH_CPUS" ;; # some cases have two threads
	*) pin= ;; # EAL pins its own threads
	esac
	$pin "$build/bench/${program}_bench" \
		--benchmark_repetitions="$repetitions" \
		--benchmark_enable_random_interleaving=true \
		--benchmark_min_time="$seconds" \
		--benchmark_filter="$filter" \
		--benchmark_out="$out/$program.json" --benchmark_out_format=json \
		> "$out/$program.log" 2>&1 || { cat "$out/$program.log" >&2; exit 1; }
	json="$json $out/$program.json"
done
# shellcheck disable=SC2086
python3 -B "$root/bench/table.py" $json > "$out/table.txt" || failed=1
cat "$out/table.txt"
echo
# shellcheck disable=SC2086
python3 -B "$root/bench/goals.py" $json | tee "$out/goals.md"
# shellcheck disable=SC2086
python3 -B "$root/bench/plots.py" "$out" $json || failed=1
exit "${failed:-0}"
