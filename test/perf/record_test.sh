#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# "iovad-perf record" as its user meets it on this machine: arguments, errors, what it leaves behind.
# test/vm/record.sh has recordings. Prints TAP.
#   record_test.sh IOVAD_PERF
# shellcheck disable=SC2317 # what is called by name
set -u

perf=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
# shellcheck source=test/lib/tap.sh
. "$here/../lib/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work" "$TAP_LOG"' EXIT
tracing=/sys/kernel/tracing
out=$work/out.ftrace.xz

# Tracefs is mounted, or hidden, in a mount namespace of this script's own: the machine stays as it is.
if [ "${2:-}" != inside ]; then
	if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
		exec unshare -m bash "$0" "$perf" inside
	fi
	private=
else
	private=1
fi

check 'help, without EAL' "$perf" record --help
check 'help, after --' "$perf" -l 0 -- record --help
check_fails 2 'record needs the name of a file' 'no file' "$perf" record
check_fails 2 "does not know '--frob'" 'unknown option' "$perf" record "$out" --frob
check_fails 2 "from 1 to 1000000, not '0'" 'no seconds' "$perf" -- record "$out" --seconds 0
check_fails 2 'no sub-command: it stands after' 'replay still needs --' "$perf" replay "$out"

hide() { mount -t tmpfs tmpfs "$1"; }
show() { umount "$1"; }

# As a user who is nobody, with a copy of the program that nobody may run.
as_nobody() {
	local bin=$work/bin
	mkdir -p "$bin"
	chmod 755 "$work" "$bin"
	cp "$perf" "$bin/iovad-perf"
	ldd "$perf" | awk '$3 ~ /libiovad/ { print $3 }' | xargs -r cp -t "$bin"
	# Nor may it read what sanitizers are told to.
	(cd / && LD_LIBRARY_PATH=$bin env -u UBSAN_OPTIONS -u LSAN_OPTIONS setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/iovad-perf" "$@")
}

left_nothing() { [ ! -e "$out" ] && ! compgen -G "$tracing/instances/iovad-record-*"; }

# The state of the main instance, which a recording must not touch.
main_state() {
	(cd "$tracing" && cat tracing_on trace_clock trace_options buffer_size_kb set_event current_tracer)
}

# started ARGUMENT...: in the background, and tracing when this returns.
started() {
	"$perf" record "$@" >"$work/log" 2>&1 </dev/null &
	recorder=$!
	for _ in {1..200}; do
		[ "$(cat "$tracing/instances/iovad-record-$recorder/tracing_on" 2>/dev/null)" != 1 ] || return 0
		kill -0 "$recorder" 2>/dev/null || break
		sleep 0.05
	done
	cat "$work/log"
	return 1
}

# It ends at once and leaves nothing, whether there was something to record or not.
ends_at() {
	local status=0
	started "$out" || return
	kill "-$1" "$recorder"
	wait "$recorder" || status=$?
	cat "$work/log"
	if [ -s "$out" ]; then
		xz -t "$out" && [ "$status" -eq 0 ]
	else
		grep -q 'nothing was mapped or unmapped' "$work/log" && [ "$status" -eq 1 ]
	fi || return
	rm -f "$out"
	left_nothing
}

leftover_goes() {
	local killed
	started "$out" || return
	killed=$recorder
	kill -KILL "$killed"
	wait "$killed"
	[ -d "$tracing/instances/iovad-record-$killed" ] || return
	ends_at TERM && grep -q "removed .*-$killed, left by a recording that was killed" "$work/log"
}

# Not its own: a name that it would never give, and another recording that runs.
others_stay() {
	local first=$tracing/instances/iovad-record-mine other status=0
	mkdir "$first"
	started "$work/other" || return
	other=$recorder
	ends_at INT >/dev/null
	[ -d "$first" ] && [ -d "$tracing/instances/iovad-record-$other" ] || status=1
	kill -INT "$other"
	wait "$other"
	rmdir "$first"
	rm -f "$work/other"
	return "$status"
}

alone() {
	hide /sys/kernel/debug
	hide $tracing
	check_fails 1 "as root: mount -t tracefs tracefs $tracing" 'no tracefs: how to mount it' \
		"$perf" record "$out" --seconds 1
	check 'no tracefs: no file' test ! -e "$out"
	show $tracing
	if ! mount -t tracefs tracefs $tracing 2>"$TAP_LOG"; then
		skip 'with tracefs' "$(head -n 1 "$TAP_LOG")"
		return
	fi
	if command -v setpriv >/dev/null; then
		check_fails 1 "may not be used; run this as root" 'not root' as_nobody record /dev/null
	else
		skip 'not root' 'no setpriv'
	fi
	if [ ! -e $tracing/events/iommu/map/enable ]; then
		check_fails 1 'no IOMMU, or no events for it' 'a kernel without the events' "$perf" record "$out"
		skip 'recording' 'this kernel has no iommu events'
		return
	fi
	hide $tracing/events/iommu
	check_fails 1 'no IOMMU, or no events for it' 'a kernel without the events' "$perf" record "$out"
	show $tracing/events/iommu
	check_fails 1 'nonexistent/out: cannot write: No such file' 'a file that cannot be written' \
		"$perf" record "$work/nonexistent/out"
	check_fails 1 'cannot write: Is a directory' 'a folder' "$perf" record "$work"
	check 'nothing is left of these' left_nothing

	main_state >"$work/before"
	for signal in INT TERM; do check "SIG$signal ends it and leaves nothing" ends_at $signal; done
	check 'what SIGKILL leaves, the next removes' leftover_goes
	check "others' instances stay" others_stay
	if [ -z "$(ls /sys/class/iommu 2>/dev/null)" ]; then
		check_fails 1 'nothing was mapped.*(/sys/class/iommu is empty)' 'no IOMMU: it says so' \
			"$perf" --no-huge -- record "$out" --seconds 1 --buffer-kb 64
		check 'no IOMMU: nothing is left' left_nothing
	else
		skip 'no IOMMU' 'one is on here'
	fi
	check 'the main instance is as before' diff "$work/before" <(main_state)
}

if [ -n "$private" ]; then alone; else skip 'on this machine' 'needs root and a mount namespace'; fi
done_testing
