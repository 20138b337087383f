#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# l2fwd.sh [BUILD_DIR]: examples/l2fwd in the emulated machine: NICs that read and write
# packets, rings and the program's own memory at addresses that iovad chose, behind an
# IOMMU that refuses any other. Run by test/run.sh.
# shellcheck disable=SC2016 # code in single quotes is for the guest
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
VM=$SOURCE/test/vm/run.sh
L2FWD=$(realpath "${1:-$SOURCE/build}")/examples/iovad-l2fwd

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT
FRAMES=20000 LIMIT=0x7fffffff

# Each run's output into a file of its own, with its status at the end. One boot for all.
in_guest() {
	"$VM" --out "$WORK" bash -c '
		read -r a b <<<"$IOVAD_VM_NICS"
		run() {
			local name=$1 status=0
			shift
			"$L2FWD" --no-telemetry "$@" >"/run/$name" 2>&1 </dev/null || status=$?
			echo "status $status" >>"/run/$name"
			cp "/run/$name" "$IOVAD_VM_OUT/$name"
		}
		L2FWD=$0
		run all -l 0,1 -a "$a" -a "$b" -- --limit '"$LIMIT"' --heap 16 --send-heap '"$FRAMES"'
		run one-lcore -l 0 -a "$a" -a "$b" --iova-mode=va -- --send-heap 4000
		run one-port -l 0 -a "$a" -- --seconds 1
		run soft -l 0,1 -a "$a" -a "$b" -- --backend soft --seconds 1
		run small-heap -l 0,1 -a "$a" -a "$b" -- --heap 32 --limit 0xfffff --seconds 1
		for most in 9 13 14; do
			echo "$most" >/sys/module/vfio_iommu_type1/parameters/dma_entry_limit
			run "most-$most" -l 0,1 -a "$a" -a "$b" -- --heap 16 --send-heap 500
		done
		echo 65535 >/sys/module/vfio_iommu_type1/parameters/dma_entry_limit
		("$L2FWD" -l 0,1 --no-telemetry -a "$a" -a "$b" -- >/run/interrupted 2>&1 </dev/null; echo "status $?" >>/run/interrupted) &
		tail -n +1 -f /run/interrupted | grep -qm 1 "/s, out"
		kill -INT "$(busybox pidof iovad-l2fwd)"
		wait $!
		cp /run/interrupted "$IOVAD_VM_OUT/interrupted"
	' "$L2FWD"
}

# has FILE PATTERN: a whole line of it matches.
has() { grep -qxE -- "$2" "$WORK/$1" || { tail -n 20 "$WORK/$1"; echo "no line: $2"; return 1; }; }

# below FILE PATTERN: there are such lines, and every address in them is one of the window's.
below() {
	local address found=''
	while read -r address; do
		found=1
		if [ $((address)) -lt $((0x100000)) ] || [ $((address)) -gt $((LIMIT)) ]; then
			echo "$address is beyond the limit"
			return 1
		fi
	done < <(grep -E -- "$2" "$WORK/$1" | grep -oE '(at|addresses|-) 0x[0-9a-f]+' | grep -oE '0x[0-9a-f]+')
	[ -n "$found" ] || { echo "no address in $WORK/$1: $2"; return 1; }
}

no_faults() { ! grep -E 'DMAR:.*fault|callbacks suppressed' "$WORK/dmesg.txt"; }
rings_are_there() { [ "$(grep -c '^ring: eth_p[01]_q0_[rt]x_ring' "$WORK/all")" = 4 ]; }

# orderly FILE FRAMES: all came back, with the right addresses, and everything was given back.
orderly() {
	check "$1: all $2 frames come back as they were sent" \
		has "$1" "frames: sent $2, verified $2, bad 0; completed $2 of $2"
	check "$1: every address is the domain's" has "$1" "violations: 0"
	check "$1: nothing leaks" has "$1" "leaks: 0"
	check "$1: it succeeds" has "$1" "status 0"
}

check "the emulated machine runs it" in_guest
orderly all "$FRAMES"
check "the rings of both ports lie in the heap" rings_are_there
check "they lie below the limit" below all '^ring:'
check "so do all packets" below all '^[01] -> [01]: .*addresses'
check "and the program's own memory" below all '^frames: [0-9]+ KiB'
orderly one-lcore 4000
check "it says what its README shows" \
	python3 -B "$SOURCE/test/docs/shown.py" "$SOURCE" examples/l2fwd/README.md test/vm/l2fwd.sh "$WORK/all"
check "the IOMMU refused nothing" no_faults
check "one port is too few, and that is said" has one-port '1 ports and not 2: .*'
check "and everything is given back" has one-port 'leaks: 0'
check "the software IOMMU is refused to hardware" has soft 'port 0, 0000:.*is hardware: not with --backend soft'
check "and everything is given back" has soft 'leaks: 0'
check "an impossible limit is refused" has small-heap 'no heap: .*'
check "and everything is given back" has small-heap 'leaks: 0'
orderly interrupted 0
check "a heap of which EAL mapped only a part is refused" has most-9 'no heap: .*'
for most in 9 13 14; do check "with $most mappings everything is given back" has "most-$most" 'leaks: 0'; done
done_testing
