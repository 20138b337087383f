#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Second stage in the guest, as process 1: the devices that the command finds, then the
# command, then its status back and the power off. It runs from the host's checkout, so
# that a change to it needs no new initramfs. Busybox where it will do, as in the first.
set -uo pipefail

CTL=/iovad-vm/ctl
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 IOVAD_VM_TREE=/iovad IOVAD_VM_OUT=/iovad-vm/out IOVAD_VM_NICS=

# shellcheck source=/dev/null # made by run.sh
. "$CTL/settings"
# shellcheck source=test/vm/guest/lib.sh
. /iovad/test/vm/guest/lib.sh

# Ending without a status is what tells run.sh that the machine failed.
fail() {
	echo "iovad-vm: second stage: $1" >/dev/console
	busybox poweroff -f
}

devices() {
	local module nic pages
	pages=$(</proc/sys/vm/nr_hugepages)
	[ "$pages" -eq "$VM_HUGEPAGES" ] || fail "only $pages huge pages of $VM_HUGEPAGES could be had"
	for module in $VM_LOAD; do
		modprobe "$module" || fail "cannot load $module"
	done
	if [ -z "$VM_KERNEL_DRIVER" ]; then
		for nic in $VM_NICS; do
			bind_driver "$nic" vfio-pci || fail "cannot bind $nic to vfio-pci"
		done
	fi
	IOVAD_VM_NICS=$VM_NICS
	busybox ip link set lo up
	echo iovad-vm >/proc/sys/kernel/hostname
}

# port NAME: the device of the virtio-serial port that run.sh gave this name.
port() {
	local dir
	for dir in /sys/class/virtio-ports/*; do
		[ "$(<"$dir/name")" = "$1" ] && echo "/dev/${dir##*/}" && return
	done
	fail "no port $1"
}

# The seconds since power on, rounded up.
uptime_seconds() {
	local up
	read -r up _ </proc/uptime
	echo $((${up%.*} + 1))
}

# end_later PID: when the time is over. A command has three seconds to tidy up.
end_later() {
	busybox sleep $((VM_TIMEOUT - $(uptime_seconds)))
	: >"$CTL/timed-out"
	kill -TERM -- "-$1"
	busybox sleep 3
	kill -KILL -- "-$1"
}

# Ports can be opened only once, and a shell's ">/dev/stderr" opens again: so the command
# gets pipes.
run_command() {
	local out=/run/iovad-vm.stdout err=/run/iovad-vm.stderr copies=() pid watch status=0
	busybox mkfifo "$out" "$err"
	busybox cat "$out" >"$(port stdout)" &
	copies+=($!)
	busybox cat "$err" >"$(port stderr)" &
	copies+=($!)
	setsid "${COMMAND[@]}" </dev/null >"$out" 2>"$err" &
	pid=$!
	end_later "$pid" &
	watch=$!
	wait "$pid" || status=$?
	kill "$watch"
	# What it left behind would keep the pipes open; what left its session too is not
	# waited for long.
	kill -KILL -- "-$pid" 2>/dev/null
	{
		busybox sleep 5
		kill "${copies[@]}"
	} &
	wait "${copies[@]}"
	return "$status"
}

run_shell() {
	[ -z "$VM_TERM" ] || export TERM=$VM_TERM
	[ -z "$VM_STTY" ] || stty -F /dev/hvc0 rows "${VM_STTY% *}" cols "${VM_STTY#* }"
	[ ${#COMMAND[@]} -gt 0 ] || COMMAND=(bash -i)
	setsid -c -w "${COMMAND[@]}" <>/dev/hvc0 >&0 2>&1
}

main() {
	local status=0
	devices
	mapfile -d '' -t COMMAND <"$CTL/command"
	cd "$VM_CWD" 2>/dev/null || cd /iovad || fail "no /iovad"
	if [ -n "$VM_SHELL" ]; then run_shell || status=$?; else run_command || status=$?; fi
	dmesg >"$IOVAD_VM_OUT/dmesg.txt"
	# Last, since it says that all else went well; renamed, so that it is there whole.
	echo "$status" >"$CTL/status.new"
	busybox mv "$CTL/status.new" "$CTL/status"
	busybox sync
	busybox poweroff -f
}

main 2>/dev/console
fail "the end was reached"
