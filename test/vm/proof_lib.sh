# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the proofs (proof_*.sh) share. They are called with the build folder, which must not
# lie below /tmp: the emulated machine does not see that. Source it; then call need_machine.

SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
VM=$SOURCE/test/vm/run.sh
BUILD=$(realpath "${1:-$SOURCE/build}")
PROGRAMS=$BUILD/test/vm/programs
# shellcheck source=test/vm/guest/lib.sh
. "$SOURCE/test/vm/guest/lib.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

# need_machine: where none can be emulated, all is skipped, with the reason.
need_machine() {
	local why program
	if ! why=$(bash -c '. "$1/test/vm/setup.sh" && vm_need_tools' bash "$SOURCE" 2>&1); then
		echo "1..0 # skip ${why##*error: }" | head -n 1
		exit 0
	fi
	for program in "$PROGRAMS/unmap_under_load" "$PROGRAMS/exposure" "$PROGRAMS/libmbuf_witness.so" \
		"$BUILD/lib/mempool/librte_mempool_iovad.so"; do
		[ -e "$program" ] || { echo "Bail out! $program is not there: ninja -C $BUILD proofs"; exit 1; }
	done
}

# guest [run.sh's OPTION...] -- SCRIPT ARGUMENT...: a script of test/vm in the machine; what
# it writes to $IOVAD_VM_OUT is in $WORK/out, what it says in $WORK/log.
guest() {
	local options=()
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	rm -rf "$WORK/out"
	"$VM" --out "$WORK/out" "${options[@]}" -- bash "/iovad/test/vm/$1" "${@:2}" >"$WORK/log" 2>&1 && return
	tail -n 40 "$WORK/log"
	return 1
}

# json FILE EXPRESSION: Python's view of r, what session.py wrote to $WORK/out/FILE.
json() {
	python3 -c 'import json, sys
with open(sys.argv[1], encoding="utf-8") as file: r = json.load(file)
json.dump({k: v for k, v in r.items() if k != "runs"}, sys.stdout, indent=1)
print("\nnot so:", sys.argv[2])
sys.exit(0 if eval(sys.argv[2]) else 1)' "$WORK/out/$1" "$2"
}

# no_faults: by the log of the whole run of the machine.
no_faults() {
	iommu_faults "$WORK/out/dmesg.txt"
	grep -q 'DMAR: IOMMU enabled' "$WORK/out/dmesg.txt" && [ "$(iommu_faults "$WORK/out/dmesg.txt")" = 0 ]
}

# Of what watched() in the machine called NAME:
# has NAME PATTERN: a line of what it said.
has() { grep -qE -- "$2" "$WORK/out/$1.log" || { cat "$WORK/out/$1.log"; echo "no line: $2"; return 1; }; }

ends_well() {
	has "$1" '^status 0$' && has "$1" '^as it should be$' && ! grep -E 'WRONG|^IOVAD' "$WORK/out/$1.log"
}

# refused NAME READ|WRITE NIC: some accesses of that kind by that NIC, and no others.
refused() {
	grep 'DMAR:.*fault addr' "$WORK/out/$1.dmesg" &&
		! grep 'DMAR:.*fault addr' "$WORK/out/$1.dmesg" | grep -v "DMA $2 .*device \[$3\]"
}

# balanced TRACE: by the kernel's iommu events in $WORK/out/TRACE all that was mapped was
# unmapped, and nothing else.
balanced() {
	PYTHONDONTWRITEBYTECODE=1 python3 -c 'import sys
sys.path.insert(0, sys.argv[1] + "/examples/testpmd")
import witnesses
events = witnesses.events_in(open(sys.argv[2], encoding="utf-8").read())
tables, unknown = witnesses.replay(events)
print(len(events), tables, unknown)
sys.exit(0 if events and not any(tables) and not unknown else 1)' "$SOURCE" "$WORK/out/$1"
}

said() { grep -qE -- "$1" "$WORK/log" || { tail -n 40 "$WORK/log"; echo "no line: $1"; return 1; }; }
