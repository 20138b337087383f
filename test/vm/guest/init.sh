#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=dash disable=SC1091 # busybox's shell; /ctl is there in the guest only
# First stage in the guest, as /init of the initramfs: the host's root file system with
# a layer of RAM above it, so that anything may be written and nothing reaches the host;
# and the file systems of the kernel. It knows busybox only, which starts in no time:
# under emulation each start of a program with shared libraries takes a twentieth of a
# second. What it cannot do it says on the console, which run.sh shows.
b=/bin/busybox

fail() {
	echo "iovad-vm: first stage: $1" >/dev/console
	$b reboot -f
}

# tie FOLDER PLACE
tie() {
	$b mkdir -p "$2"
	$b mount --bind "$1" "$2" || fail "cannot show ${1#/sysroot} as ${2#/sysroot}"
}

load_modules() {
	local module
	for module in /modules/*.ko; do
		$b insmod "$module" || fail "cannot load $module"
	done
}

root_file_system() {
	local p9=trans=virtio,version=9p2000.L,msize=512000
	$b mkdir -p /ctl /host /layer /sysroot
	$b mount -t 9p -o $p9,cache=mmap ctl /ctl || fail "no control folder"
	. /ctl/settings
	# The host's files do not change under a run, so the guest may cache them.
	$b mount -t 9p -o $p9,ro,cache=loose host /host || fail "no root file system"
	$b mount -t tmpfs -o mode=755,size=75% layer /layer
	$b mkdir /layer/upper /layer/work
	$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /sysroot ||
		fail "no layer above the root file system"
	$b mkdir -p /sysroot/iovad-vm/ctl /sysroot/iovad-vm/out
	$b mount --move /ctl /sysroot/iovad-vm/ctl
	$b mount -t 9p -o $p9,cache=mmap out /sysroot/iovad-vm/out || fail "no folder for results"
}

# each_shown FUNCTION: with the path of each folder of --show, and where it is tied to.
each_shown() {
	local path n=0
	while read -r path; do
		"$1" "$path" /iovad-vm/show/$n
		n=$((n + 1))
	done </sysroot/iovad-vm/ctl/show
}

keep() { tie "/sysroot$1" "/sysroot$2"; }

# show PATH PLACE: at its own path again, where a fresh file system hides that.
show() {
	case $1 in
	/tmp | /tmp/* | /run | /run/* | /dev/shm | /dev/shm/*) tie "/sysroot$2" "/sysroot$1" ;;
	esac
}

# Folders that must stay in sight are tied to places that the fresh /tmp and /run do not
# hide, before these come.
folders() {
	keep "$VM_TREE" /iovad
	keep "$VM_KERNEL_DIR/lib/modules/$($b uname -r)" "/lib/modules/$($b uname -r)"
	each_shown keep
	# Not world-writable: EAL loads no driver from below such a folder.
	$b mount -t tmpfs -o mode=755,size=75% tmp /sysroot/tmp
	$b mount -t tmpfs -o mode=755,size=50% run /sysroot/run
	$b mkdir -p /sysroot/run/lock /dev/pts /dev/shm /dev/hugepages
	$b mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
	$b mount -t tmpfs -o mode=1777 shm /dev/shm
	$b mount -t hugetlbfs -o pagesize=2M hugetlbfs /dev/hugepages
	$b mount -t debugfs debugfs /sys/kernel/debug
	$b mount -t tracefs tracefs /sys/kernel/tracing
	$b ln -s /proc/self/fd /dev/fd
	$b ln -s fd/0 /dev/stdin
	$b ln -s fd/1 /dev/stdout
	$b ln -s fd/2 /dev/stderr
	for dir in proc sys dev; do
		$b mount --move /$dir /sysroot/$dir
	done
	show "$VM_TREE" /iovad
	each_shown show
}

$b mkdir -p /proc /sys /dev
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev

# run.sh tries an accelerator: this far is far enough.
if $b grep -q iovad.probe /proc/cmdline; then
	echo iovad-vm: probe: alive >/dev/console
	$b poweroff -f
fi

load_modules
root_file_system
folders
cd /sysroot || fail "no root file system"
exec $b switch_root /sysroot /bin/bash /iovad/test/vm/guest/main.sh
