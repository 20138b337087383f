#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# top.sh SOURCE_DIR LIVE_DOMAINS MEMPOOL_DRIVER: iovad-top beside a process that works, on the memory
# that the tests are given, and on ordinary memory too (--no-huge); and beside testpmd, which knows nothing
# of iovad. dpdk-telemetry.py asks the same where it is installed.
set -euo pipefail

SOURCE=$1 LIVE=$2 DRIVER=$3
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

WORK=$(mktemp -d)
export RUNTIME_DIRECTORY=$WORK PYTHONDONTWRITEBYTECODE=1
PID=
trap 'end; rm -rf "$WORK" "$TAP_LOG"' EXIT

# start PREFIX COMMAND...: a process, PID, that runs as long as INPUT is open; back when its domains
# are there.
start() {
	local prefix=$1
	shift
	mkfifo "$WORK/$prefix.in"
	"$@" <"$WORK/$prefix.in" >"$WORK/$prefix.out" 2>&1 &
	PID=$!
	exec {INPUT}>"$WORK/$prefix.in"
	until top --list 2>/dev/null | grep -qE "^$prefix: .*(soft.1|mempool)"; do
		kill -0 "$PID" 2>/dev/null || return 1
	done
}

# As it should end: its input does.
end() {
	local pid=$PID
	PID=
	[ -n "$pid" ] || return 0
	exec {INPUT}>&-
	rm -f "$WORK"/*.in
	wait "$pid"
}

top() { python3 "$SOURCE/app/top/main.py" --interval 0.2 "$@"; }

# json CONDITION: an expression in Python over the document; d is domain nic0, s its statistics.
json() {
	top --file-prefix "$PREFIX" --json >"$WORK/json"
	python3 - "$WORK/json" "$1" <<-'END'
		import json, sys
		document = json.load(open(sys.argv[1], encoding="utf-8"))
		d = document["domains"]["nic0"]
		print(json.dumps(document)[:3000])
		sys.exit(not eval(sys.argv[2], {"d": d, "s": d["stats"], **document}))
	END
}

shows() {
	top --file-prefix "$PREFIX" "${@:2}" | tee "$WORK/shown"
	grep -qE "$1" "$WORK/shown"
}

fits_80_columns() {
	COLUMNS=80 top --file-prefix "$PREFIX" --once >"$WORK/shown"
	cat "$WORK/shown"
	python3 -c 'import sys; sys.exit(any(len(line) > 80 for line in open(sys.argv[1], encoding="utf-8").read().split("\n")))' \
		"$WORK/shown"
}

whatis_is_shown() {
	top --file-prefix "$PREFIX" --whatis 0x7000000 --domain nic0 >"$WORK/shown"
	python3 "$SOURCE/test/docs/shown.py" "$SOURCE" doc/debugging.md test/cli/top.sh "$WORK/shown"
}

interactive() { python3 "$SOURCE/test/cli/top_terminal.py" "$SOURCE/app/top/main.py" "$@"; }

dpdk_telemetry() {
	local tool
	tool=$(command -v dpdk-telemetry.py || command -v dpdk-telemetry)
	echo "/iovad/info,nic0" | "$tool" -f "$PREFIX" | tee "$WORK/shown"
	grep -q '"backend": *"none"' "$WORK/shown"
}

check_live() {
	PREFIX=$1
	shift
	if ! start "$PREFIX" "$LIVE" --lcores "(0-2)@0" --no-pci --file-prefix "$PREFIX" \
		--log-level lib.eal:warning "$@"; then
		fail "$PREFIX: a process starts" "$WORK/$PREFIX.out"
		return
	fi
	check "$PREFIX: --list names its domains" shows "^$PREFIX: pid $PID .*nic0, soft.1" --list
	check "$PREFIX: --once shows what works" shows "^allocs .*live" --once
	check "$PREFIX: in 80 columns" fits_80_columns
	check "$PREFIX: --domain shows that one only" shows "^soft.1 +0x1000" --once --domain soft.1
	check "$PREFIX: rates are those of a process that works" json "d['rates']['allocs'] > 0 and d['rates']['frees'] > 0"
	check "$PREFIX: hits are hits" json "0.5 < d['rates']['hit_rate'] <= 1"
	check "$PREFIX: each worker has a cache" json "sorted(d['caches']['lcore_id']) == [1, 2, 2 ** 32 - 1]"
	check "$PREFIX: maps and unmaps of the other domain" json "domains['soft.1']['rates']['backend_maps'] > 0"
	check "$PREFIX: the map has what is reserved" json \
		"abs(sum(d['map']['reserved_ppm']) / 256e6 - s['reserved_bytes'] / (1 << 27)) < 1e-4"
	check "$PREFIX: the bounce pool of the other domain" shows "^tx .* 2 MiB +64 MiB" --once --domain soft.1
	check "$PREFIX: and its rates" json "bounce['tx']['rates']['maps'] > 0 and bounce['tx']['rates']['copied_in_bytes'] > 0"
	check "$PREFIX: --whatis as doc/debugging.md shows it" whatis_is_shown
	check "$PREFIX: --whatis of what is reserved" shows "^nic0: 0x900000: reserved" --whatis 0x900000
	check "$PREFIX: and of a line of the kernel's log, to one domain" shows "^soft.1: 0x200000000: not an address" \
		--whatis "DMAR: [DMA Read] fault addr 0x200000000 [fault reason 0x06]" --domain soft.1
	check "$PREFIX: the control thread makes passes" json "control['runners'] == ['thread'] and control['passes'] > 0"
	check "$PREFIX: the only process needs no prefix" top --once
	check_fails 1 "no domain nic7; there are: nic0, soft.1" "$PREFIX: a domain that is not there" top --once --domain nic7
	if command -v dpdk-telemetry.py dpdk-telemetry >/dev/null; then
		check "$PREFIX: dpdk-telemetry.py asks the same" dpdk_telemetry
	else
		skip "$PREFIX: dpdk-telemetry.py asks the same" "it is not installed (Debian: package dpdk-dev)"
	fi
	check "$PREFIX: the screen, its keys, and a process that hangs" interactive "$PREFIX" "$PID"
	check "$PREFIX: the process ended well" end
}

check_testpmd() {
	PREFIX=testpmd
	if ! start "$PREFIX" env LD_LIBRARY_PATH="$(dirname "$DRIVER")/.." dpdk-testpmd --lcores "(0-1)@0" --no-pci \
		--no-huge -m 256 --file-prefix "$PREFIX" --vdev net_null0 -d "$DRIVER" --mbuf-pool-ops-name iovad -- -i --total-num-mbufs 4096; then
		fail "testpmd: its mempool driver answers" "$WORK/$PREFIX.out"
		return
	fi
	pass "testpmd: its mempool driver answers"
	check "testpmd: its pool is mapped" shows "^mempool .* soft, strict" --once
	check "testpmd: it ended well" end
}

check_fails 1 "no DPDK process answers" "nobody is there" top --once
check_fails 1 "no DPDK process answers" "nobody is there to list" top --list
check_fails 1 "No such file" "no such socket" top --socket "$WORK/none" --once
check_fails 2 "from 0.05 to 3600" "a bad interval" top --interval 0
check_fails 2 "neither an address" "--whatis of no address" top --whatis "no fault"
check_fails 2 "not allowed with" "options that exclude each other" top --once --json

check_live plain --no-huge -m 256
if [ -n "${IOVAD_TEST_EAL_ARGS:-}" ]; then
	read -ra EAL <<<"$IOVAD_TEST_EAL_ARGS"
	check_live huge "${EAL[@]}"
else
	skip "the same on huge pages" "there are none (IOVAD_TEST_EAL_ARGS)"
fi
if command -v dpdk-testpmd >/dev/null; then
	check_testpmd
else
	skip "testpmd: its mempool driver answers" "dpdk-testpmd is not installed (Debian: package dpdk-dev)"
fi
done_testing
