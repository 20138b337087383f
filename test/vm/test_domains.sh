#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test_domains.sh BUILD-FOLDER: domains in EAL's VFIO container, in the emulated machine: limits,
# EAL's own memory, both IOVA modes, several processes, exhaustion, devices that come and
# go. Run by test/run.sh. The build folder must not lie below /tmp.
# shellcheck disable=SC2016 # code in single quotes is for the guest
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
VM=$SOURCE/test/vm/run.sh
BUILD=$(realpath "$1")

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

# In the guest: in_guest BUILD RUN...; a RUN is a function below. Each program's output is
# in a file of its own, and beside it how it ended.
IN_GUEST='
. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
B=$0
TEST=$B/test/vm/vfio/vfio_domain_test
read -r NIC OTHER <<<"$IOVAD_VM_NICS"
BOTH="-a $NIC -a $OTHER"
ulimit -l unlimited

# run NAME VARIABLE=VALUE... COMMAND...
run() {
	local name=$1 status=0
	shift
	env "$@" >"$IOVAD_VM_OUT/$name.log" 2>&1 || status=$?
	echo "$status $(iommu_faults)" >"$IOVAD_VM_OUT/$name.end"
}
domains() { run "$1" IOVAD_TEST_EAL_ARGS="$2" "${@:4}" "$TEST" --gtest_filter="$3"; }

kernel() { run kernel IOVAD_TEST_VFIO_DEVICE="$NIC" "$B/test/vfio/type1_kernel_test"; }
va() { domains va "$BOTH --iova-mode=va" "VfioLimits.*:BesideEal.*"; }
pa() { domains pa "$BOTH --iova-mode=pa" "VfioLimits.*:BesideEal.*"; }
# As in a container that masks /proc/iomem.
blind() {
	busybox mount --bind /dev/null /proc/iomem
	domains blind "$BOTH --iova-mode=pa" "VfioLimits.Holes*:BesideEal.*-*ThreadsMap:*RamStays*" IOVAD_TEST_BLIND=1
	busybox umount /proc/iomem
}
wide() { domains wide "$BOTH" "VfioLimits.*" IOVAD_TEST_AW_BITS=48; }
devices() { domains devices "-a $NIC --iova-mode=va" "VfioDevices.*" IOVAD_TEST_SECOND_DEVICE="$OTHER"; }
processes() {
	domains processes "$BOTH --iova-mode=va -d $B/lib/mempool/librte_mempool_iovad.so" "VfioProcesses.*" \
		IOVAD_MEMPOOL=backend=vfio,limit=0xffffffff
}
# A container keeps the limit that held when it got its first device.
budget() {
	local limit=/sys/module/vfio_iommu_type1/parameters/dma_entry_limit before
	before=$(<"$limit")
	echo 200 >"$limit"
	domains budget "$BOTH --iova-mode=va" "VfioBudget.*"
	echo "$before" >"$limit"
}
testpmd_pa() {
	run testpmd_pa python3 "$IOVAD_VM_TREE/test/vm/vfio/pa_session.py" --nics "$IOVAD_VM_NICS" --build "$B" \
		--seconds 3 --mbufs 4096 --at-least 100
}
for each in "$@"; do "$each"; done'

# in_machine RUN... [-- OPTION OF run.sh...]
in_machine() {
	local runs=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		runs+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	"$VM" "$@" --out "$WORK" --show "$BUILD" bash -c "$IN_GUEST" "$BUILD" "${runs[@]}" >"$WORK/machine.log" 2>&1 </dev/null ||
		cat "$WORK/machine.log"
}

# cases NAME: each of the program's, and that it came to a good end.
cases() {
	local line log=$WORK/$1.log
	: >>"$log"
	while read -r line; do
		line=${line%% (*}
		case $line in
		'[       OK ] '*) pass "$1: ${line#*] }" ;;
		'[  SKIPPED ] '*) skip "$1: ${line#*] }" "not here" ;;
		'[  FAILED  ] '*)
			sed -n "/^\[ RUN      \] ${line#*] }$/,/^\[  FAILED  \]/p" "$log" >"$WORK/why"
			fail "$1: ${line#*] }" "$WORK/why"
			;;
		esac
	done < <(grep -E '^\[ +(OK|SKIPPED|FAILED) +\] .* \([0-9]+ ms\)$' "$log")
	check "$1: ends well, and the IOMMU refused nothing" ends_well "$1"
}

ends_well() {
	[ "$(cat "$WORK/$1.end")" = "0 0" ] ||
		{ tail -n 20 "$WORK/$1.log"; echo "status and accesses refused: $(cat "$WORK/$1.end")"; return 1; }
}

in_machine kernel va pa blind devices processes testpmd_pa budget
for name in kernel va pa blind devices processes budget; do cases "$name"; done
check "testpmd with the mempool driver, --iova-mode=pa" ends_well testpmd_pa
in_machine wide -- --aw-bits 48
cases wide
done_testing
