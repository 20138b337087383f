#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# quickstart.sh [OPTIONS OF app/quickstart.sh]: README's first command from end to end.
# It changes the machine as that does. Run by test/run.sh.
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

OUT=$SOURCE/build/quickstart
WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

# What must be the same before and after.
settings() {
	cat /sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages \
		/sys/kernel/mm/hugepages/hugepages-*/nr_hugepages 2>/dev/null || true
	grep '^iovad .*hugetlbfs' /proc/mounts || true
	find /run/iovad-setup -mindepth 1 2>/dev/null | sort || true
	find /run/dpdk -maxdepth 1 -name "iovad-quickstart-*" 2>/dev/null | sort || true
}

same_settings() { diff "$WORK/before" <(settings); }

interrupted() {
	local pid status=0
	env --default-signal=INT "$SOURCE/app/quickstart.sh" "$@" >"$WORK/log" 2>&1 &
	pid=$!
	for _ in $(seq 600); do
		if grep -q "$AT" "$WORK/log" || [ ! -d "/proc/$pid" ]; then break; fi
		sleep 0.1
	done
	kill -INT "$pid" || true
	wait "$pid" || status=$?
	tail -n 5 "$WORK/log"
	[ "$status" -eq 130 ]
}

no_machine_runs() { ! pgrep -f "qemu-system.*$SOURCE" >/dev/null; }

said() { grep -qE -- "$1" "$WORK/first.log"; }

shows() { python3 -B "$SOURCE/test/docs/shown.py" "$SOURCE" "$1" test/cli/quickstart.sh "$WORK/first.log"; }

quickstart() { "$SOURCE/app/quickstart.sh" "$@" >"$WORK/first.log" 2>&1 || { tail -n 25 "$WORK/first.log"; return 1; }; }

settings >"$WORK/before"
check "quickstart.sh ends well" quickstart "$@"
check "huge pages and mounts are as they were" same_settings
for trace in nvme-fio-strict e1000e-iperf3-strict; do
	for engine in cached tree; do
		check "$trace, $engine: a table, a picture and JSON" \
			test -s "$OUT/$trace-$engine.txt" -a -s "$OUT/$trace-$engine.svg" -a -s "$OUT/$trace-$engine.json"
	done
done
check "testpmd: JSON" test -s "$OUT/testpmd.json"
check "packets went both ways, the IOMMU refused none" said 'received on 2 ports'
check "and the kernel agrees" said 'All agree: packets went both ways'
check "and what README.md shows" shows README.md
check "and examples/testpmd/README.md" shows examples/testpmd/README.md
check "it says where the pictures are" said "$OUT/nvme-fio-strict-cached.svg"
AT='packets/s$' check "an interrupt ends it while testpmd runs" interrupted "$@"
check "and the emulated machine with it" no_machine_runs
AT='^== replay' check "an interrupt ends it while it replays" interrupted --no-testpmd "$@"
check "and leaves huge pages and mounts as they were" same_settings
check "it can be run again" quickstart --no-testpmd "$@"
check_fails 1 'there is no PCI device nowhere' "a NIC that is not there is named" \
	"$SOURCE/app/quickstart.sh" "$@" --nics nowhere
check_fails 1 'no such trace: /none' "a trace that is not there is named" "$SOURCE/app/quickstart.sh" "$@" /none
done_testing
