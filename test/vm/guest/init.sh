#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# First stage in the guest, as /init of the initramfs: the host's root file system with
# a layer of RAM above it, so that anything may be written and nothing reaches the host.
# It knows busybox only. What it cannot do it says on the console, which run.sh shows.
b=/bin/busybox
PATH=/bin

fail() {
	echo "iovad-vm: first stage: $1" >/dev/console
	$b reboot -f
}

# The second stage mounts a fresh /tmp, /run and so on above what the host has there: a
# folder that must stay in sight is tied to a place that it does not hide, before.
keep() {
	$b mkdir -p "$2"
	$b mount --bind "$1" "$2" || fail "cannot show ${1#/root} as ${2#/root}"
}

$b mkdir -p /proc /sys /dev /ctl /host /layer /root
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev 2>/dev/null

# run.sh tries an accelerator: this far is far enough.
if $b grep -q iovad.probe /proc/cmdline; then
	echo iovad-vm: probe: alive >/dev/console
	$b poweroff -f
fi

for module in /modules/*.ko; do
	$b insmod "$module" || fail "cannot load $module"
done

p9=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $p9,cache=mmap ctl /ctl || fail "no control folder"
. /ctl/settings
# The host's files do not change under a run, so the guest may cache them.
$b mount -t 9p -o $p9,ro,cache=loose host /host || fail "no root file system"
$b mount -t tmpfs -o mode=755,size=75% layer /layer
$b mkdir /layer/upper /layer/work
$b mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work root /root ||
	fail "no layer above the root file system"

keep "/root$VM_TREE" /root/iovad
keep "/root$VM_KERNEL_DIR/lib/modules/$($b uname -r)" "/root/lib/modules/$($b uname -r)"
$b mkdir -p /root/iovad-vm/ctl /root/iovad-vm/out
$b mount --move /ctl /root/iovad-vm/ctl
$b mount -t 9p -o $p9,cache=mmap out /root/iovad-vm/out || fail "no folder for results"
n=0
while read -r path; do
	keep "/root$path" /root/iovad-vm/show/$n
	n=$((n + 1))
done </root/iovad-vm/ctl/show

for dir in proc sys dev; do
	$b mount --move /$dir /root/$dir
done
exec $b switch_root /root /bin/bash /iovad/test/vm/guest/main.sh
fail "no second stage"
