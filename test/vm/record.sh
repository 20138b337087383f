#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# record.sh IOVAD_PERF: "iovad-perf record" in the emulated machine (test/vm/run.sh), where the
# kernel's own drivers, of an NVMe disk and of two NICs, map for an IOMMU; what it brings back is
# replayed here. Prints TAP. The program may not lie below /tmp, which the machine does not see.
# IOVAD_VM_RUN names another run.sh, IOVAD_TEST_EAL_ARGS the memory for the replays.
set -euo pipefail

SELF=$(realpath "$0")
SOURCE=$(cd "$(dirname "$SELF")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

TRACING=/sys/kernel/tracing
DISK=/dev/nvme0n1

# ---- in the machine

# recording FILE OPTION...: started, and tracing when this returns; its words are in LOG.
recording() {
	local instance
	LOG=$OUT/${1##*/}.log
	"$PERF" record "$@" 2>"$LOG" &
	RECORDER=$!
	instance=$TRACING/instances/iovad-record-$RECORDER
	# An instance traces from its first moment on, but the recorder turns it off to set it up; that
	# it is on after the events are is the sign.
	until [ "$(cat "$instance/events/iommu/unmap/enable" "$instance/tracing_on" 2>/dev/null | xargs)" = "1 1" ]; do
		kill -0 "$RECORDER" || return 1
		sleep 0.1
	done
}

# ended STATUS [SIGNAL]: the recorder does so, by itself or for a signal.
ended() {
	local status=0
	[ $# -lt 2 ] || kill "-$2" "$RECORDER"
	wait "$RECORDER" || status=$?
	[ "$status" -eq "$1" ] || { echo "status $status, not $1"; cat "$LOG"; return 1; }
}

# read_disk SIZE COUNT [CPU]
read_disk() { taskset -c "${3:-0-1}" dd if=$DISK of=/dev/null bs="$1" count="$2" iflag=direct status=none; }

# Eight megabytes over the wire, once it is up.
use_nics() {
	until busybox ping -q -c 1 -W 1 10.9.0.2; do :; done
	# An input that ends would end the connection.
	mkfifo "$WORK/quiet"
	ip netns exec far busybox timeout 60 busybox nc -l -p 5000 <>"$WORK/quiet" >"$WORK/received" &
	local receiver=$!
	until ip netns exec far busybox netstat -ltn | grep -q ':5000 '; do sleep 0.1; done
	busybox dd if=/dev/zero bs=64k count=128 2>/dev/null | busybox timeout 60 busybox nc 10.9.0.2 5000
	wait "$receiver"
	[ "$(stat -c %s "$WORK/received")" -eq $((8 << 20)) ]
}

# What an event says, without who, where and when: for comparing, in an order of its own.
payloads() { xz -dcf "$1" | sed -n 's/.*: \(map\|unmap\): IOMMU/\1/p' | sort; }

# All else that traces goes on as it did: here the main instance, with the same events, a clock and
# options of its own, among them some that the recording must not inherit. What it saw is a second
# witness of what was recorded.
disk_with_witness() {
	local option
	echo mono >"$TRACING/trace_clock"
	echo 65536 >"$TRACING/buffer_size_kb"
	for option in latency-format nocontext-info stacktrace; do echo $option >"$TRACING/trace_options"; done
	echo 1 >"$TRACING/events/iommu/map/enable"
	echo 1 >"$TRACING/events/iommu/unmap/enable"
	recording "$OUT/disk.ftrace.xz"
	read_disk 64k 200 0
	read_disk 4k 500 1
	ended 0 INT
	[ "$(cat "$TRACING/tracing_on")" = 1 ]
	[ "$(cat "$TRACING/events/iommu/map/enable")" = 1 ]
	grep -q '\[mono\]' "$TRACING/trace_clock"
	grep -qx stacktrace "$TRACING/trace_options"
	echo 0 >"$TRACING/events/iommu/enable"
	for option in nolatency-format context-info nostacktrace; do echo $option >"$TRACING/trace_options"; done
	cat "$TRACING/trace" >"$OUT/witness"
	echo >"$TRACING/trace"
	payloads "$OUT/witness" >"$WORK/seen"
	payloads "$OUT/disk.ftrace.xz" >"$WORK/recorded"
	[ "$(wc -l <"$WORK/recorded")" -ge 1400 ]
	cmp "$WORK/seen" "$WORK/recorded"
}

# It stands still until the kernel's small buffers have run over.
lost_events() {
	recording "$OUT/lost.ftrace" --buffer-kb 16
	kill -STOP "$RECORDER"
	read_disk 4k 2000
	kill -CONT "$RECORDER"
	ended 1 INT
	grep -E 'LOST [0-9 ]+ EVENTS' "$LOG"
	grep -qE '^CPU:[0-9]+ \[LOST [0-9]+ EVENTS\]' "$OUT/lost.ftrace"
	tail -n 1 "$OUT/lost.ftrace" | grep -E '# end: .* [1-9][0-9]* lost'
}

# It ends by itself, and what fitted is a trace; brought back for a replay.
full_disk() {
	mkdir "$WORK/small"
	mount -t tmpfs -o size=64k tmpfs "$WORK/small"
	recording "$WORK/small/full.ftrace"
	read_disk 4k 1000
	ended 1
	grep 'No space left on device; it ends after' "$LOG"
	cp "$WORK/small/full.ftrace" "$OUT/"
	umount "$WORK/small"
}

nics() {
	# shellcheck source=/dev/null # of the emulated machine
	. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
	join_nics
	recording "$OUT/nics.ftrace" --seconds 30
	use_nics
	ended 0
}

killed() {
	recording "$OUT/killed.ftrace"
	ended 137 KILL
	compgen -G "$TRACING/instances/iovad-record-*" >/dev/null
	recording "$OUT/after.ftrace"
	grep 'left by a recording that was killed' "$LOG"
	ended 1 TERM # nothing to record
	[ ! -e "$OUT/after.ftrace" ]
	grep 'Was there traffic?' "$LOG"
}

no_instance_left() { [ -z "$(ls "$TRACING/instances")" ]; }

# checked NAME FUNCTION...: set -e holds in it, unlike in a condition.
checked() {
	local status=0
	set +e
	(set -ex; "${@:2}") >"$TAP_LOG" 2>&1
	status=$?
	set -e
	if [ "$status" -eq 0 ]; then pass "$1"; else fail "$1" "$TAP_LOG"; fi
}

guest() {
	OUT=$IOVAD_VM_OUT WORK=$(mktemp -d)
	checked "an NVMe disk is recorded until Ctrl-C, all of it, as a second witness saw" disk_with_witness
	checked "no instance is left" no_instance_left
	checked "lost events are reported" lost_events
	checked "a full disk keeps what fits" full_disk
	checked "no instance is left after either" no_instance_left
	checked "a killed recording's instance is removed by the next, which finds nothing" killed
	checked "two NICs are recorded for a while" nics
	checked "no instance is left at the end" no_instance_left
}

# ---- on the host

# replays FILE MINIMUM CONDITION: the recording is a trace of at least so many events.
replays() {
	local eal
	read -ra eal <<<"${IOVAD_TEST_EAL_ARGS:---no-huge -m 512}"
	"$PERF" "${eal[@]}" --lcores '(0-1)@0' --no-pci --no-telemetry --log-level lib.eal:warning \
		--file-prefix "iovad-record-$$" -- replay "$1" --json "$WORK/report.json"
	python3 - "$WORK/report.json" "$2" "$3" <<-'END'
		import json, sys
		report = json.load(open(sys.argv[1]))
		print(report)
		sys.exit(not (report["events"] >= int(sys.argv[2]) and report["good"] and eval(sys.argv[3], {}, report)))
	END
}

host() {
	local run=${IOVAD_VM_RUN:-$SOURCE/test/vm/run.sh} status=0
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT
	export RUNTIME_DIRECTORY=${RUNTIME_DIRECTORY:-$WORK}
	[ -x "$run" ] || { skip "record in the emulated machine" "no $run"; done_testing; return; }
	"$run" --out "$WORK/out" --kernel-driver --kernel-disk --hugepages 0 \
		bash "$SELF" --guest "$PERF" >"$WORK/tap" 2>"$WORK/err" || status=$?
	cat "$WORK/tap"
	TAP_COUNT=$(grep -cE '^(not )?ok ' "$WORK/tap" || true)
	if [ "$status" -eq 0 ]; then
		pass "the machine ran it to its end"
	else
		cat "$WORK/err" "$WORK"/out/*.log >"$WORK/why" 2>/dev/null || true
		fail "the machine ran it to its end (status $status)" "$WORK/why"
	fi
	check "the disk's recording replays" replays "$WORK/out/disk.ftrace.xz" 1400 \
		'not lost and not unmatched and not remapped and cpus == 2'
	check "the NICs' recording replays" replays "$WORK/out/nics.ftrace" 2000 'not lost'
	check "one with lost events replays" replays "$WORK/out/lost.ftrace" 10 'lost > 0'
	check "what fitted on a full disk replays" replays "$WORK/out/full.ftrace" 100 'not lost'
	done_testing
}

case ${1:-} in
--guest) PERF=$2; guest ;;
'' | -*) echo "usage: test/vm/record.sh IOVAD_PERF" >&2; exit 2 ;;
*) PERF=$(realpath "$1"); host ;;
esac
