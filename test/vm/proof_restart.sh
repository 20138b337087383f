#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# proof_restart.sh [BUILD]: testpmd starts, moves packets and stops, again and again, and
# leaves nothing behind: no mapping, no pinned page, no huge page, no file. Prints TAP.
set -euo pipefail

RUNS=${RUNS:-20}

if [ -n "${IOVAD_VM_OUT:-}" ]; then # in the machine: BUILD TIMES
	exec python3 /iovad/test/vm/guest/restarts.py "$1" "$2"
fi

# shellcheck source=test/vm/proof_lib.sh
. "$(dirname "$0")/proof_lib.sh"

need_machine
check "testpmd starts, moves packets and stops $RUNS times" guest -- proof_restart.sh "$BUILD" "$RUNS"
check "in each run all witnesses agree: what was mapped was unmapped, nothing was refused" \
	json restarts.json "len(r['runs']) == $RUNS and not any(run['problems'] for run in r['runs'])"
check "each run was seen by the kernel, and had its mbufs in the same place" \
	json restarts.json "all(run['kernel_events'] and run['window'] == r['runs'][0]['window'] for run in r['runs'])"
check "the IOMMU refused no access, from boot to end" no_faults
check "a VFIO container has as many mappings left as before the first" \
	json restarts.json "r['before']['mappings_left'] == r['after']['mappings_left'] > 60000"
check "no page is pinned any more" \
	json restarts.json "r['after']['pins'] > 20000 and r['after']['pinned'] == r['before']['pinned'] == 0"
check "the huge pages are free as before" \
	json restarts.json "r['after']['huge_pages'] == r['before']['huge_pages'] > 0"
check "no file is left behind" json restarts.json "r['after']['files'] == r['before']['files']"
done_testing
