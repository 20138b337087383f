#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# devices.sh PLUGIN: which PCI devices the mempool driver gives addresses to. It changes the
# drivers of two NICs, so it runs in the emulated machine:
#   test/vm/run.sh --show BUILD -- bash test/mempool/devices.sh BUILD/lib/mempool/librte_mempool_iovad.so
set -euo pipefail

PLUGIN=$1 TREE=${IOVAD_VM_TREE:?runs in the emulated machine: see the head of this file}
# shellcheck source=test/lib/tap.sh
. "$TREE/test/lib/tap.sh"
# shellcheck source=test/vm/guest/lib.sh
. "$TREE/test/vm/guest/lib.sh"
read -r FIRST SECOND <<<"$IOVAD_VM_NICS"

# testpmd SETTINGS [EAL OPTIONS]: with the devices there are. Without a terminal it ends at once.
testpmd() {
	IOVAD_MEMPOOL=$1,stats=1,limit=0xffffffff dpdk-testpmd --lcores '(0-1)@0' -m 256 --no-telemetry "${@:2}" \
		-d "$PLUGIN" --mbuf-pool-ops-name=iovad -- --total-num-mbufs=4096
}

maps() {
	local out
	out=$(testpmd "$@" 2>&1)
	echo "$out"
	grep -q '^  0x0000.* live  -> 0x' <<<"$out"
}

check "two NICs behind the IOMMU: backend=auto maps for them" maps backend=auto
check "backend=vfio does too" maps backend=vfio
check_fails 1 "device $FIRST .*vfio-pci.* backend=soft" "backend=soft is refused" testpmd backend=soft
check_fails 1 "device (0000:)?${FIRST#0000:} .*vfio-pci.* backend=soft" "also where the address is given in short" \
	testpmd backend=soft -a "${FIRST#0000:}"
modprobe uio_pci_generic
bind_driver "$SECOND" uio_pci_generic
check_fails 1 "device $SECOND .*uio_pci_generic.* backend=vfio" "one past the IOMMU beside one behind it is refused" \
	testpmd backend=auto
check "without it, pools are mapped" maps backend=auto -b "$SECOND"
check_fails 1 "device $SECOND .*uio_pci_generic.* backend=soft" "one past the IOMMU alone is refused" \
	testpmd backend=auto -a "$SECOND"
done_testing
