#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# proof_testpmd.sh [BUILD]: an unmodified testpmd moves millions of packets through two NICs
# with iovad's mempool driver; each mbuf lies in the window, the IOMMU refuses none of the
# NICs' accesses, and the kernel has mapped what iovad says. While other devices, with the
# kernel's drivers, use the IOMMU too. Prints TAP.
set -euo pipefail

if [ -n "${IOVAD_VM_OUT:-}" ]; then # in the machine: BUILD PACKETS LIMIT [AND-STOCK]
	session() {
		python3 "$IOVAD_VM_TREE/examples/testpmd/session.py" --nics "$IOVAD_VM_NICS" --build "$BUILD" \
			--witness "$BUILD/test/vm/programs/libmbuf_witness.so" "$@"
	}
	BUILD=$1
	while :; do dd if=/dev/nvme0n1 of=/dev/null bs=64k iflag=direct count=500 2>/dev/null; busybox sleep 1; done &
	session --packets "$2" --limit "$3" --json "$IOVAD_VM_OUT/session.json"
	# What a stock pool has is not iovad's to say, and shows.
	[ -z "${4:-}" ] || ! session --packets 100 --json "$IOVAD_VM_OUT/stock.json" --eal=--mbuf-pool-ops-name=ring_mp_mc
	exit
fi

# shellcheck source=test/vm/proof_lib.sh
. "$(dirname "$0")/proof_lib.sh"

# proof NIC PACKETS LIMIT [AND-STOCK]
proof() {
	local nic=$1 packets=$2 limit=$3
	check "$nic: testpmd ends well and all witnesses agree" \
		guest --nics "$nic" --kernel-disk -- proof_testpmd.sh "$BUILD" "$packets" "$limit" "${4:-}"
	check "$nic: each port received $packets packets" \
		json session.json "len(r['ports']) == 2 and all(p['RX'] >= $packets and p['TX'] > 0 for p in r['ports'].values())"
	check "$nic: each of 8192 mbufs lies in the window, under $limit" \
		json session.json "r['mbufs'] == 8192 and all(int(w[1], 16) <= $limit for w in r['window'])"
	check "$nic: the IOMMU refused no access" no_faults
	check "$nic: the kernel mapped and unmapped what iovad says, in one page table" \
		json session.json "r['kernel_events'] > 0 and r['page_tables'] == 1 and not r['problems']"
	sed -n 's/^ *\(port [01]:\) *received/# \1 received/p' "$WORK/log"
}

need_machine
proof e1000e 1500000 0xffffffff and-stock
check "stock pools are told from iovad's" json stock.json \
	"any('did not say what it mapped' in p for p in r['problems'])"
check "by their mbufs, too" json stock.json "r['mbufs'] == 8192 and r['window'] == []"
proof virtio 200000 0x1fffffff
done_testing
