#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# replay.sh SOURCE_DIR IOVAD_PERF: the real traces through both engines, on the memory that
# the tests are given (huge pages, where test/run.sh runs them). What iovad-perf reports is
# held against counts made by other means. Bad input: test/perf/cli_test.sh.
set -euo pipefail

SOURCE=$1 PERF=$2
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT
export RUNTIME_DIRECTORY=${RUNTIME_DIRECTORY:-$WORK/runtime}
mkdir -p "$RUNTIME_DIRECTORY"

if [ "$(nproc)" -ge 2 ]; then LCORES="0-1"; else LCORES="(0-1)@0"; fi
read -ra EAL <<<"${IOVAD_TEST_EAL_ARGS:---no-huge -m 512}"
EAL+=(--lcores "$LCORES" --no-pci --no-telemetry --log-level lib.eal:warning)
EAL+=(--file-prefix "iovad-replay-$$")

perf() { "$PERF" "${EAL[@]}" -- "$@"; }

# How many lines hold the event, counted by other means than iovad-perf's.
events_of() { xz -dcf "$1" | grep -v '^#' | grep -cE "[0-9]: $2: "; }

# json FILE CONDITION: an expression in Python over the keys of the report.
json() {
	python3 - "$@" <<-'END'
		import json, sys
		report = json.load(open(sys.argv[1], encoding="utf-8"))
		keys = ("events", "allocs", "frees", "unmatched", "failed", "violations",
		        "ns_per_alloc", "ns_per_free")
		print({key: report.get(key) for key in keys})
		sys.exit(not eval(sys.argv[2], {}, report))
	END
}

is_picture() {
	python3 - "$1" <<-'END'
		import sys, xml.etree.ElementTree as tree
		root = tree.parse(sys.argv[1]).getroot()
		shapes = [e for e in root.iter() if e.tag.split("}")[1] in
		          ("rect", "path", "polyline", "polygon", "line", "image", "circle")]
		print(root.tag, len(shapes), "shapes")
		sys.exit(not (root.tag == "{http://www.w3.org/2000/svg}svg" and len(shapes) >= 3))
	END
}

check_trace() {
	local trace=$1 engine=$2 name maps unmaps out
	name="$(basename "$trace" .ftrace.xz), $engine"
	out=$WORK/$(basename "$trace" .ftrace.xz)-$engine
	maps=$(events_of "$trace" map) unmaps=$(events_of "$trace" unmap)
	check "$name: ends with 0" perf replay "$trace" --engine "$engine" --json "$out.json" --svg "$out.svg"
	check "$name: every event is counted" json "$out.json" "events == $maps + $unmaps"
	check "$name: maps become allocations, a list of them one" \
		json "$out.json" "maps == $maps and 0 < allocs <= maps"
	check "$name: nothing overlaps, nothing fails" \
		json "$out.json" "violations == 0 and failed == 0 and good"
	check "$name: what is not freed is live at the end" \
		json "$out.json" "frees > 0 and allocs == frees + live_at_end"
	check "$name: the engine is the one asked for" \
		json "$out.json" "engine == '$engine' and (cache_hit_rate > 0) == (engine == 'cached')"
	check "$name: what was there before the trace is the minority" \
		json "$out.json" "0 <= unmatched < $unmaps / 10"
	check "$name: the times are times" json "$out.json" "0 < ns_per_alloc < 1e7 and 0 < ns_per_free < 1e7"
	check "$name: the picture is SVG with shapes in it" is_picture "$out.svg"
}

for trace in "$SOURCE"/test/traces/*.ftrace.xz; do
	check_trace "$trace" cached
	check_trace "$trace" tree
done
done_testing
