#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# proof_lazy.sh [BUILD]: how long a NIC that goes on using what was unmapped can reach it,
# measured by programs/exposure.c: not at all after a strict unmap, within the bound after a
# lazy one; and nobody is handed the address before. Prints TAP.
set -euo pipefail

if [ -n "${IOVAD_VM_OUT:-}" ]; then # in the machine: BUILD
	# shellcheck source=test/vm/guest/lib.sh
	. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
	for policy in strict lazy; do
		for direction in send receive; do
			watched "$policy-$direction" "$1/test/vm/programs/exposure" "$policy" "$direction"
		done
	done
	exit 0
fi

# shellcheck source=test/vm/proof_lib.sh
. "$(dirname "$0")/proof_lib.sh"

need_machine
# A third CPU is the control thread's.
check "two NICs, four runs" guest --cpus 3 -- proof_lazy.sh "$BUILD"

for direction in send receive; do
	if [ "$direction" = send ]; then access=Read nic=00:04.0; else access=Write nic=00:03.0; fi
	for policy in strict lazy; do
		name=$policy-$direction
		sed -n "s/^$policy $direction: /# &/p" "$WORK/out/$name.log"
		check "$name: the program ends well, the domain has no leak" ends_well "$name"
		check "$name: the kernel reports accesses of that kind by that NIC, and no others" \
			refused "$name" "$access" "$nic"
		check "$name: by the kernel's events, what was mapped was unmapped" balanced "$name.ftrace"
	done
	check "strict: from the return on the NIC reaches nothing ($direction)" has "strict-$direction" \
		'exposure .* median 0 us, max 0 us'
	check "lazy: the NIC reaches it for some time ($direction), which ends well" has "lazy-$direction" \
		'exposure .* median [1-9][0-9]* us'
done
done_testing
