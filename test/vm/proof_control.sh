#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# proof_control.sh [BUILD]: the positive control, programs/unmap_under_load.c: a NIC that goes
# on using memory which was unmapped is refused each time, and the kernel's log has those
# addresses and no others. Without the unmap, nothing is refused. Prints TAP.
set -euo pipefail

if [ -n "${IOVAD_VM_OUT:-}" ]; then # in the machine: BUILD
	# shellcheck source=test/vm/guest/lib.sh
	. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
	for mode in keep send receive; do
		watched "$mode" "$1/test/vm/programs/unmap_under_load" "$mode"
	done
	exit 0
fi

# shellcheck source=test/vm/proof_lib.sh
. "$(dirname "$0")/proof_lib.sh"

# all_in MODE READ|WRITE REGION NIC: every fault of the log is that kind of access, to the
# region, by the NIC that uses it; and there are some.
all_in() {
	local address first last
	refused "$1" "$2" "$4" || return
	read -r first last < <(sed -n "s/^region $3: \(0x[0-9a-f]*\) - \(0x[0-9a-f]*\)$/\1 \2/p" "$WORK/out/$1.log")
	for address in $(iommu_fault_addresses "$WORK/out/$1.dmesg"); do
		if [ $((address)) -lt $((first)) ] || [ $((address)) -gt $((last)) ]; then
			echo "$address: not in $first - $last"
			return 1
		fi
	done
}

need_machine
check "two NICs, three runs" guest -- proof_control.sh "$BUILD"

check "nothing unmapped: the program ends well, the domain has no leak" ends_well keep
check "nothing unmapped: the IOMMU refuses nothing" test "$(iommu_faults "$WORK/out/keep.dmesg")" = 0
check "nothing unmapped: all that is sent from the region arrives" has keep \
	'^region send: ([0-9]+) packets sent, \1 seen to arrive; after the removal: ([0-9]{4,}) sent, \2 seen to arrive'
check "nothing unmapped: what arrives is written to the region" has keep '^region receive: written to'

check "unmapped while a NIC sends from it: the program ends well, the domain has no leak" ends_well send
check "of what was sent from there since, nothing arrives" has send \
	'after the removal: [0-9]{4,} sent, 0 seen to arrive'
check "what was sent from the pool beside it all arrives" has send '^pool: ([0-9]{5,}) packets sent, \1 arrived'
check "the kernel reports reads by that NIC, all in the region" all_in send Read send 00:04.0

check "unmapped while a NIC receives into it: the program ends well, the domain has no leak" ends_well receive
check "what arrives since changes none of the memory" has receive '^region receive: unchanged since the removal'
check "packets of the pool arrive at the other NIC as before" has receive '^pool: ([0-9]{5,}) packets sent, \1 arrived'
check "the kernel reports writes by that NIC, all in the region" all_in receive Write receive 00:03.0

for mode in keep send receive; do
	check "$mode: by the kernel's events, what was mapped was unmapped" balanced "$mode.ftrace"
done
done_testing
