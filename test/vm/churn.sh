#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# churn.sh BUILD_DIR: "iovad-perf churn" in the emulated machine, with VFIO: strict, lazy and region; the
# kernel's own account of what it mapped and unmapped is the witness. Prints TAP. The build folder must
# not lie below /tmp. Run by test/run.sh.
# shellcheck disable=SC2016 # code in single quotes is for the guest
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
VM=$SOURCE/test/vm/run.sh
PERF=$(realpath "${1:-$SOURCE/build}")/app/perf/iovad-perf

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT
# Emulated CPUs take turns on the host's: the control thread may come late by much.
OPS=20000 AGE_US=4000000

# Each run's output into a file of its own, with its status at the end. One boot for all.
in_guest() {
	"$VM" --out "$WORK" bash -c '
		. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
		PERF=$0 OPS=$1 AGE_US=$2
		read -r nic _ <<<"$IOVAD_VM_NICS"
		churn() {
			local name=$1 lcores=$2 status=0
			shift 2
			"$PERF" -l "$lcores" -a "$nic" --no-telemetry -- churn --backend vfio --json "$IOVAD_VM_OUT/$name.json" \
				"$@" >"/run/$name" 2>&1 </dev/null || status=$?
			echo "status $status" >>"/run/$name"
			cp "/run/$name" "$IOVAD_VM_OUT/$name"
		}
		churn one 0 --ops "$OPS" --max-age-us "$AGE_US"
		churn two 0,1 --ops 2000
		churn large 0 --ops 300 --size 65536 --depth 16
		trace_iommu /run/trace churn traced 0 --ops 1000
		cp /run/trace "$IOVAD_VM_OUT/trace"
	' "$PERF" "$OPS" "$AGE_US"
}

succeeded() { grep -qx "status 0" "$WORK/$1" || { cat "$WORK/$1"; return 1; }; }

# holds NAME CONDITION: of the report, with its modes as variables.
holds() {
	python3 - "$WORK/$1.json" "$2" <<-'END'
		import json, sys
		report = json.load(open(sys.argv[1]))
		for name, mode in report["modes"].items():
		    print(name, mode)
		sys.exit(not eval(sys.argv[2], {}, {**report, **report["modes"]}))
	END
}

# Of the window that churn takes its addresses from: bytes that the kernel mapped, and unmapped.
kernel_agrees() {
	local mapped unmapped
	read -r mapped unmapped < <(awk '
		/: map: IOMMU: iova=0x00000040/ { sub(/.* size=/, ""); mapped += $1 }
		/: unmap: IOMMU: iova=0x00000040/ { sub(/.*unmapped_size=/, ""); unmapped += $1 }
		END { printf "%.0f %.0f\n", mapped, unmapped }' "$WORK/trace")
	echo "mapped $mapped, unmapped $unmapped"
	[ "$mapped" -gt 0 ] && [ "$mapped" -eq "$unmapped" ]
}

no_faults() { ! grep -E 'DMAR:.*fault|callbacks suppressed' "$WORK/dmesg.txt"; }

check "the emulated machine runs it" in_guest
for run in one two large traced; do
	check "$run: all modes succeed" succeeded "$run"
	check "$run: nothing is left and no promise is broken" holds "$run" \
		'good and all(not m["failed"] and not m["violations"] for m in modes.values())'
	check "$run: lazy makes fewer calls than strict" holds "$run" \
		'lazy["backend_unmaps"] < strict["backend_unmaps"] == strict["unmapped_ranges"] == lazy["unmapped_ranges"]'
	check "$run: a region makes none for its buffers" holds "$run" 'region["backend_maps"] == region["backend_unmaps"] == 1'
	check "$run: no more is deferred than may be" holds "$run" '0 < lazy["deferred_peak_bytes"] <= lazy["max_bytes"]'
done
check "one: a call takes at least eight ranges" holds one 'lazy["unmaps_per_range"] <= 1 / 8'
check "one: nothing is deferred for longer than may be" holds one '0 < lazy["deferred_peak_us"] <= lazy["max_age_us"]'
check "one: samples were reachable for a while, and then not" holds one \
	'0 < lazy["exposed_at_most_ns"]["max"] <= 1000 * lazy["max_age_us"]'
check "the kernel unmapped all that it mapped" kernel_agrees
check "the IOMMU refused nothing" no_faults
done_testing
