#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# testpmd.sh SOURCE_DIR MEMPOOL_PLUGIN LOOP_PLUGIN POOL_USER: an unmodified testpmd on ports of the virtual
# NIC. Without huge pages (IOVAD_TEST_EAL_ARGS) the check with a second process is skipped.
set -euo pipefail

SOURCE=$1 MEMPOOL=$2 LOOP=$3 POOL_USER=$4
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
# shellcheck source=test/lib/testpmd.sh
. "$SOURCE/test/lib/testpmd.sh"

WORK=$(mktemp -d)
export RUNTIME_DIRECTORY=${RUNTIME_DIRECTORY:-$WORK/runtime}
mkdir -p "$RUNTIME_DIRECTORY"
trap 'rm -rf "$WORK" "$TAP_LOG" ${PLACE:+"$PLACE"}' EXIT

LOG=$WORK/log
read -ra EAL <<<"${IOVAD_TEST_EAL_ARGS:---no-huge -m 512 --no-pci}"
EAL+=(--no-telemetry --file-prefix "iovad-loop-$$")
LCORES=(--lcores "(0-1)@(0-$(($(nproc) - 1)))")
IOVAD_POOLS=(--mbuf-pool-ops-name=iovad)
FORWARD='start tx_first 4\nshow port xstats all\nstop\nquit'

# testpmd COMMANDS [EAL OPTIONS] [-- OPTIONS]: output in LOG.
testpmd() {
	local commands=$1 eal=() status=0
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		eal+=("$1")
		shift
	done
	SAYS=$LOG
	: >"$SAYS"
	feed "$commands" | IOVAD_MEMPOOL=backend=soft timeout -s KILL 90 stdbuf -o0 dpdk-testpmd "${EAL[@]}" "${LCORES[@]}" \
		-d "$MEMPOOL" -d "$LOOP" "${eal[@]}" -- --total-num-mbufs=8192 -i "${@:2}" >"$LOG" 2>&1 || status=$?
	tail -n 40 "$LOG"
	return $status
}

says() { grep -qE -- "$1" "$LOG"; }
says_not() { ! says "$1"; }

forwards() { testpmd "$FORWARD" "${IOVAD_POOLS[@]}" "$@" && says 'RX-total: [1-9]'; }

no_fault() { says '^tx_fault_not_mapped: 0' && says_not '_fault.*: [1-9]|^IOVAD_LOOP'; }

check_forwards() { # NAME [OPTIONS]
	check "$1: packets are forwarded, testpmd ends well" forwards "${@:2}"
	check "$1: no fault" no_fault
}

# Its addresses are EAL's, which nobody has mapped.
refuses_all() {
	testpmd "$FORWARD" "${IOVAD_POOLS[@]}" --vdev=net_iovad_loop0 -- --mp-alloc=xbuf &&
		says '^tx_good_packets: 0' && says '^rx_good_packets: 0' && says '^tx_fault_not_mapped: 128' &&
		says 'IOVAD_LOOP: net_iovad_loop0, tx queue 0: reading 64 bytes at 0x.*, which is not mapped.*pool' &&
		says 'IOVAD_LOOP: net_iovad_loop0: 123 more of these'
}

panics() {
	local status=0
	testpmd "$FORWARD" "${IOVAD_POOLS[@]}" --vdev=net_iovad_loop0,on_fault=panic -- --mp-alloc=xbuf || status=$?
	[ "$status" -eq 134 ] && says 'net_iovad_loop0: misuse of memory, and on_fault=panic'
}

# explains PATTERN [OPTIONS]: testpmd goes on without the port.
explains() { testpmd quit "${@:2}" && says "$1"; }

secondary() {
	"$POOL_USER" "${EAL[@]}" --lcores "2@$(($(nproc) - 1))" --proc-type=secondary -d "$MEMPOOL" -d "$LOOP" -- mb_pool_0
}

# The port is the primary's; the pool serves both.
secondary_has_no_port() {
	PRIMARY=("${EAL[@]}" "${LCORES[@]}" -d "$MEMPOOL" -d "$LOOP" --vdev=net_iovad_loop0 "${IOVAD_POOLS[@]}"
		-- --total-num-mbufs=8192 --mbcache=0 -i)
	IOVAD_MEMPOOL=backend=soft beside secondary || return
	says 'IOVAD_LOOP: net_iovad_loop0: in the primary process only' && says '^took'
}

if ! command -v dpdk-testpmd >/dev/null; then
	skip "testpmd on the virtual NIC" "dpdk-testpmd is not installed (Debian: package dpdk)"
	done_testing
	exit
fi
if ! find_place "$LOOP"; then
	skip "testpmd on the virtual NIC" "EAL loads no plugin from a folder that all may write to, and no other was found"
	done_testing
	exit
fi
MEMPOOL=$(placed "$MEMPOOL" mempool)
LOOP=$(placed "$LOOP" loop)

check_forwards "a port by itself" --vdev=net_iovad_loop0
check_forwards "two ports" --vdev=net_iovad_loop0,peer=net_iovad_loop1 --vdev=net_iovad_loop1,peer=net_iovad_loop0
check_forwards "two queues" --vdev=net_iovad_loop0 -- --rxq=2 --txq=2
check_forwards "a device that is late" --vdev=net_iovad_loop0,delay=64 -- --txd=256
check_forwards "packets of several segments into small buffers" --vdev=net_iovad_loop0 -- \
	--tx-offloads=0x8000 --txpkts=64,100,200 --mbuf-size=256 --rx-offloads=0x2000

check "memory that is not mapped: every access is reported, nothing arrives" refuses_all
check "on_fault=panic: testpmd ends at the first" panics
check "pools of another driver: there is no domain, and what to do" \
	explains "there is no domain 'mempool'.*--mbuf-pool-ops-name=iovad" --vdev=net_iovad_loop0
check "an unknown setting fails, and is named" explains "colour=red.* is not key=value" --vdev=net_iovad_loop0,colour=red
if [ -n "${IOVAD_TEST_EAL_ARGS:-}" ]; then
	check "a secondary process is told that it has no port, and goes on" secondary_has_no_port
else
	skip "a secondary process is told that it has no port, and goes on" "needs huge pages"
fi
done_testing
