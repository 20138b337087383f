#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# testpmd.sh SOURCE_DIR PLUGIN POOL_USER CROWD: an unmodified testpmd whose pools are of the
# driver "iovad", and processes beside it that know nothing of iovad. Without huge pages
# (IOVAD_TEST_EAL_ARGS) the checks with two processes are skipped.
set -euo pipefail

SOURCE=$1 PLUGIN=$2 POOL_USER=$3 CROWD=$4
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
# shellcheck source=test/lib/testpmd.sh
. "$SOURCE/test/lib/testpmd.sh"

WORK=$(mktemp -d)
export RUNTIME_DIRECTORY=${RUNTIME_DIRECTORY:-$WORK/runtime}
mkdir -p "$RUNTIME_DIRECTORY"
trap 'rm -rf "$WORK" "$TAP_LOG" ${PLACE:+"$PLACE"}' EXIT

LIMIT=0xffffffff
LOG=$WORK/log
read -ra EAL <<<"${IOVAD_TEST_EAL_ARGS:---no-huge -m 512 --no-pci}"
EAL+=(--no-telemetry --file-prefix "iovad-testpmd-$$")

# testpmd SETTINGS COMMANDS [EAL OPTIONS] [-- OPTIONS]: output in LOG.
testpmd() {
	local settings=$1 commands=$2 eal=() status=0
	shift 2
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		eal+=("$1")
		shift
	done
	SAYS=$LOG
	: >"$SAYS"
	feed "$commands" | IOVAD_MEMPOOL=$settings timeout -s KILL 90 stdbuf -o0 dpdk-testpmd "${EAL[@]}" \
		--lcores "(0-1)@(0-$(($(nproc) - 1)))" --vdev=net_null0 --vdev=net_null1 \
		--log-level=iovad.mempool:info "${eal[@]}" --mbuf-pool-ops-name=iovad \
		-- --total-num-mbufs=8192 -i "${@:2}" >"$LOG" 2>&1 || status=$?
	tail -n 30 "$LOG"
	return $status
}

FORWARD='start tx_first 4\nshow port stats all\nstop\nquit'

forwards() { # MODE [OPTIONS]
	testpmd "stats=1,limit=$LIMIT" "$FORWARD" -d "$PLUGIN" -- --mp-alloc="$1" "${@:2}" &&
		grep -qE 'RX-total: [1-9]' "$LOG"
}

# What the driver said: "pool NAME: VA, N bytes, is IOVA for devices".
mapped_below_limit() {
	local bytes iova some=
	while read -r bytes iova; do
		some=1
		echo "$bytes bytes at $iova"
		[ $((iova + bytes - 1)) -le $((LIMIT)) ] && [ $((iova)) -gt 0 ] || return 1
	done < <(sed -n 's/^IOVAD_MEMPOOL: pool .*, \([0-9]*\) bytes, is \(0x[0-9a-f]*\) for devices$/\1 \2/p' "$LOG")
	[ -n "$some" ]
}

says() { grep -qE -- "$1" "$LOG"; }
says_not() { ! says "$1"; }

check_mode() {
	check "--mp-alloc=$*: packets are forwarded, testpmd ends well" forwards "$@"
	check "--mp-alloc=$*: its memory is mapped below the limit" mapped_below_limit
	check "--mp-alloc=$*: stats=1 shows it at the end" says '^  0x.* live  -> 0x'
	check "--mp-alloc=$*: nothing stays mapped, no error" says_not 'stays mapped|IOVAD.*(live|busy)|errors [1-9]'
}

refused() { # SETTINGS PATTERN
	local status=0
	testpmd "$1" quit -d "$PLUGIN" || status=$?
	[ "$status" -ne 0 ] && [ "$status" -lt 128 ] && says "$2" && says 'Creation of mbuf pool.*failed'
}

again() {
	for _ in 1 2 3; do
		forwards native >"$WORK/again" && mapped_below_limit && sed -n 's/.*is \(0x[0-9a-f]*\) for devices/\1/p' "$LOG"
	done >"$WORK/all" || return 1
	cat "$WORK/all"
	[ "$(grep -c ^0x "$WORK/all")" -ge 3 ]
}

drivers() { "$POOL_USER" "${EAL[@]}" --lcores 0 "$@" 2>&1 | grep '^driver '; }

same_places() {
	drivers >"$WORK/without"
	drivers -d "$PLUGIN" >"$WORK/with"
	echo "driver $(wc -l <"$WORK/without"): iovad" >>"$WORK/without"
	diff "$WORK/without" "$WORK/with"
}

# Whatever it finds ends testpmd.
forwards_in_debug_mode() {
	export IOVAD_DEBUG=on,fatal
	local status=0
	testpmd "stats=1,limit=$LIMIT" "$FORWARD" -d "$PLUGIN" || status=$?
	unset IOVAD_DEBUG
	[ "$status" -eq 0 ] && grep -qE 'RX-total: [1-9]' "$LOG"
}

refuses_other_debug_modes() {
	export IOVAD_DEBUG=perhaps
	local status=0
	refused "" 'IOVAD_DEBUG=perhaps' || status=$?
	unset IOVAD_DEBUG
	return $status
}

slots_used_up() {
	local status=0
	testpmd "" quit -d "$CROWD" -d "$PLUGIN" || status=$?
	[ "$status" -ne 0 ] && says 'IOVAD_MEMPOOL: the driver is not available: other drivers took all slots'
}

# beside_testpmd COMMAND...
beside_testpmd() {
	PRIMARY=("${EAL[@]}" --lcores "(0-1)@0" --vdev=net_null0 -d "$PLUGIN" --mbuf-pool-ops-name=iovad
		-- --total-num-mbufs=8192 --mbcache=0 -i)
	IOVAD_MEMPOOL="limit=$LIMIT" beside "$@"
}

secondary() { "$POOL_USER" "${EAL[@]}" --lcores "2@$(($(nproc) - 1))" --proc-type=secondary "$@"; }

secondary_uses_pool() {
	beside_testpmd secondary -d "$PLUGIN" -- mb_pool_0 || return
	local first last
	read -r first last < <(sed -n 's/^took 8192 objects, \(0x[0-9a-f]*\) - \(0x[0-9a-f]*\), 8192 are.*/\1 \2/p' "$LOG")
	[ -n "$last" ] && [ $((last)) -le $((LIMIT)) ] && [ $((first)) -gt 0 ]
}

# It has no code at that place, and stops at its first access: nothing of the pool changes.
secondary_without_plugin_stops() {
	local status=0
	beside_testpmd secondary -- mb_pool_0 || status=$?
	[ "$status" -eq 139 ] && says '^pool mb_pool_0 has driver' && says_not '^took'
}

if ! command -v dpdk-testpmd >/dev/null; then
	skip "testpmd with the driver iovad" "dpdk-testpmd is not installed (Debian: package dpdk)"
	done_testing
	exit
fi
if ! find_place "$PLUGIN"; then
	skip "testpmd with the driver iovad" "EAL loads no plugin from a folder that all may write to, and no other was found"
	done_testing
	exit
fi
PLUGIN=$(placed "$PLUGIN" mempool)
CROWD=$(placed "$CROWD" crowd)

check_mode native
check_mode native --mbcache=0
check_mode xmem
check "--mp-alloc=xbuf: packets are forwarded (from memory that is not the pool's)" forwards xbuf
check "--mp-alloc=anon: packets are forwarded (but the driver is not asked)" forwards anon
check "--mp-alloc=anon: nothing is mapped" says_not 'for devices'
if [ -n "${IOVAD_TEST_EAL_ARGS:-}" ]; then
	check_mode xmemhuge
else
	skip "--mp-alloc=xmemhuge" "there are no huge pages"
fi
check "started again, it does the same" again
check "a folder of plugins serves too" testpmd limit=$LIMIT quit -d "$(dirname "$PLUGIN")"

check "an unknown key fails the pool, and is named" refused colour=red "colour=red.* is not key=value"
check "a bad value too" refused limit=4G 'limit=4G: must be a number'
check "a key without a value too" refused stats "stats' is not key=value"
check "a limit below the window too" refused limit=0xfff 'at or below 0xfff: .*first, last and limit'
check "a window that is too small too" refused first=0x10000,last=0x1ffff 'first, last and limit'
check "VFIO without a container too" refused backend=vfio 'EAL has no VFIO container'
check "in debug mode packets are forwarded, with no finding" forwards_in_debug_mode
check "its pool goes in debug mode too" says_not 'stays mapped|IOVAD.*(live|busy)'
check "a debug mode that does not exist fails the pool" refuses_other_debug_modes
check "no slot left for the driver: it says so" slots_used_up
check "the drivers of DPDK keep their places" same_places

if [ -n "${IOVAD_TEST_EAL_ARGS:-}" ]; then
	check "a secondary process with the plugin uses the pool" secondary_uses_pool
	check "one without it stops at its first access, and testpmd goes on" secondary_without_plugin_stops
else
	skip "a secondary process with the plugin uses the pool" "needs huge pages"
	skip "one without it stops at its first access, and testpmd goes on" "needs huge pages"
fi
done_testing
