#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Second stage in the guest, as process 1: the file systems and devices that the command
# finds, then the command, then its status back and the power off. It runs from the
# host's checkout, so that a change to it needs no new initramfs.
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

file_systems() {
	mkdir -p /dev/pts /dev/shm /dev/hugepages
	mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 shm /dev/shm
	# Not world-writable: EAL loads no driver from below such a folder.
	mount -t tmpfs -o mode=755,size=75% tmp /tmp
	mount -t tmpfs -o mode=755,size=50% run /run
	mkdir -p /run/lock
	mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t tracefs tracefs /sys/kernel/tracing
	ln -sfn /proc/self/fd /dev/fd
	ln -sfn /proc/self/fd/0 /dev/stdin
	ln -sfn /proc/self/fd/1 /dev/stdout
	ln -sfn /proc/self/fd/2 /dev/stderr
}

# show_again FOLDER PATH: at its own path, where one of the above hides that.
show_again() {
	mountpoint -q "$2" && return
	case $2 in
	/tmp/* | /run/* | /var/run/* | /dev/shm/*) mkdir -p "$2" && mount --bind "$1" "$2" ;;
	esac
}

own_paths() {
	local path n=0
	show_again /iovad "$VM_TREE" || fail "cannot show $VM_TREE"
	while read -r path; do
		show_again "/iovad-vm/show/$n" "$path" || fail "cannot show $path"
		n=$((n + 1))
	done <"$CTL/show"
}

devices() {
	local module nic
	for module in vfio vfio_iommu_type1 vfio-pci; do
		modprobe "$module" || fail "cannot load $module"
	done
	if [ -n "$VM_KERNEL_DRIVER" ]; then
		for module in $VM_KERNEL_MODULES; do
			modprobe "$module" || fail "cannot load $module"
		done
	else
		for nic in $VM_NICS; do
			bind_driver "$nic" vfio-pci || fail "cannot bind $nic to vfio-pci"
		done
	fi
	export IOVAD_VM_NICS=$VM_NICS
}

# port NAME: the device of the virtio-serial port that run.sh gave this name.
port() {
	local dir
	for dir in /sys/class/virtio-ports/*; do
		[ "$(cat "$dir/name")" = "$1" ] && echo "/dev/${dir##*/}" && return
	done
	fail "no port $1"
}

# Ports can be opened only once, and a shell's ">/dev/stderr" opens again: so the command
# gets pipes.
run_command() {
	local copies=() pid watch status=0
	mkfifo /run/iovad-vm-stdout /run/iovad-vm-stderr
	cat /run/iovad-vm-stdout >"$(port stdout)" &
	copies+=($!)
	cat /run/iovad-vm-stderr >"$(port stderr)" &
	copies+=($!)
	setsid "${COMMAND[@]}" </dev/null >/run/iovad-vm-stdout 2>/run/iovad-vm-stderr &
	pid=$!
	{
		sleep "$VM_TIMEOUT"
		: >"$CTL/timed-out"
		kill -TERM -- "-$pid"
		sleep 3
		kill -KILL -- "-$pid"
	} &
	watch=$!
	wait "$pid" || status=$?
	kill "$watch"
	# What it left behind would keep the pipes open.
	kill -KILL -- "-$pid" 2>/dev/null
	{
		sleep 5
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
	file_systems
	own_paths
	devices
	busybox ip link set lo up
	hostname iovad-vm 2>/dev/null
	mapfile -d '' -t COMMAND <"$CTL/command"
	cd "$VM_CWD" 2>/dev/null || cd /iovad || fail "no /iovad"
	if [ -n "$VM_SHELL" ]; then run_shell; else run_command; fi
	status=$?
	dmesg >"$IOVAD_VM_OUT/dmesg.txt"
	# Last: it says that all else went well. Renamed, since the host may look any time.
	echo "$status" >"$CTL/status.new"
	mv "$CTL/status.new" "$CTL/status"
	sync
	busybox poweroff -f
}

main
fail "the end was reached"
