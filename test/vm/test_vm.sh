#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# test_vm.sh: the emulated machine itself: what goes in, what comes back, and that its
# IOMMU and NICs are what the proofs on it take them for. Run by test/run.sh.
# shellcheck disable=SC2016 # code in single quotes is for the guest
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"
VM=$SOURCE/test/vm/run.sh

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

# A word as the guest's whole output line: run.sh's own messages do not count.
has() { grep -qxF -- "$2" "$1" || { cat "$1"; echo "no line: $2"; return 1; }; }

mistakes() {
	check "run.sh --help" "$VM" --help
	check_fails 125 'unknown option: --frobnicate' "an unknown option is named" "$VM" --frobnicate true
	check_fails 125 'no command to run' "a missing command is" "$VM" --nics none
	check_fails 125 '--nics: tulip is none of: e1000e' "a NIC that it does not know is" "$VM" --nics tulip true
	check_fails 125 '--timeout needs a number' "a number that is none is" "$VM" --timeout soon true
	check_fails 125 'Give --memory 1624' "huge pages beyond the memory are" "$VM" --memory 600 --hugepages 300 true
	check_fails 125 'no such package: /nowhere.deb' "a kernel's package that is not there is" \
		env IOVAD_VM_CACHE="$WORK/none" IOVAD_VM_KERNEL_DEB=/nowhere.deb "$VM" true
	mkdir "$WORK/bin"
	ln -s /usr/bin/{bash,dirname,uname,id,cat} "$WORK/bin/"
	check_fails 125 'not installed: qemu-system-x86_64' "a missing QEMU is, and what installs it" \
		env PATH="$WORK/bin" bash "$VM" true
}

# What the kernel wrote when mappings were left out.
fault_count() {
	cat >"$WORK/faults" <<-'END'
		[    9.1] DMAR: DRHD: handling fault status reg 2
		[    9.1] DMAR: [DMA Read NO_PASID] Request device [00:03.0] fault addr 0xbfda8000 [fault reason 0x06] PTE Read access is not set
		[   14.2] dmar_fault: 31 callbacks suppressed
		[   14.2] DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0xbfda9000 [fault reason 0x05] PTE Write access is not set
	END
	(
		# shellcheck source=test/vm/guest/lib.sh
		. "$SOURCE/test/vm/guest/lib.sh"
		[ "$(iommu_faults "$WORK/faults")" = 33 ]
		[ "$(iommu_fault_addresses "$WORK/faults" | xargs)" = "0xbfda8000 0xbfda9000" ]
	)
}

# One boot, and what came back from it.
what_comes_back() {
	local status=0
	"$VM" --out "$WORK/out" bash -c '
		. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
		echo to stdout
		echo to stderr >/dev/stderr
		echo a result >"$IOVAD_VM_OUT/result"
		echo "user $(id -u)"
		echo "huge pages $(cat /proc/sys/vm/nr_hugepages)"
		for nic in $IOVAD_VM_NICS; do
			echo "$nic: $(driver_of "$nic")"
			[ ! -c "/dev/vfio/$(iommu_group_of "$nic")" ] || echo "$nic: has a group"
		done
		[ ! -d /sys/class/iommu/dmar0 ] || echo "an IOMMU"
		echo "argument: $0|$1"
		touch /etc/written /iovad/written && echo "root is writable"
		echo "faults $(iommu_faults)"
		exit 7' "two  words" "a 'quote' \$x" >"$WORK/stdout" 2>"$WORK/stderr" </dev/null || status=$?
	check "the command's status comes back" test "$status" = 7
	check "its output does" has "$WORK/stdout" "to stdout"
	check "what it writes to stderr does, apart" has "$WORK/stderr" "to stderr"
	check "its files do" has "$WORK/out/result" "a result"
	check "the kernel's log does" grep -q 'DMAR: IOMMU enabled' "$WORK/out/dmesg.txt"
	check "arguments arrive as they were given" has "$WORK/stdout" "argument: two  words|a 'quote' \$x"
	check "the command is root" has "$WORK/stdout" "user 0"
	check "it has huge pages" has "$WORK/stdout" "huge pages 256"
	check "it may write anywhere" has "$WORK/stdout" "root is writable"
	check "the host does not see that" test ! -e "$SOURCE/written" -a ! -e /etc/written
	check "there is an IOMMU" has "$WORK/stdout" "an IOMMU"
	check "it refused nothing" has "$WORK/stdout" "faults 0"
	for nic in 0000:00:03.0 0000:00:04.0; do
		check "NIC $nic is bound to vfio-pci" has "$WORK/stdout" "$nic: vfio-pci"
		check "and has an IOMMU group" has "$WORK/stdout" "$nic: has a group"
	done
}

# testpmd_in KIND: stock testpmd, stock pools.
testpmd_in() {
	"$VM" --nics "$1" --out "$WORK/pmd" bash -c '
		. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
		read -r a b <<<"$IOVAD_VM_NICS"
		moves_packets /run/testpmd.log 1000 dpdk-testpmd -l 0-1 -a "$a" -a "$b" --no-telemetry -- \
			--forward-mode=io --tx-first --auto-start --stats-period 1 --total-num-mbufs=4096 ||
			{ tail -n 20 /run/testpmd.log; exit 1; }
		echo "faults $(iommu_faults)"
		[ "$(iommu_faults)" = 0 ]'
}

# One boot, with the kernel's drivers: their mappings are what trace_iommu sees.
kernel_drivers() {
	"$VM" --kernel-driver --kernel-disk --aw-bits 48 --out "$WORK/trace" bash -c '
		. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
		set -e
		for nic in $IOVAD_VM_NICS; do [ "$(driver_of "$nic")" = e1000e ] && netdev_of "$nic"; done
		trace_iommu "$IOVAD_VM_OUT/disk.ftrace" dd if=/dev/nvme0n1 of=/dev/null bs=64k count=20 iflag=direct
	' || return
	grep -c 'unmap: IOMMU: iova=0x' "$WORK/trace/disk.ftrace"
}

# A checkout below /tmp, and a cache of its own there, filled by two runs at once. The
# name of the package is that of the first cache, which saves the download.
checkout_in_tmp() {
	local tree=$WORK/tree runs=() n deb status=0
	mkdir -p "$tree/test"
	cp -r "$SOURCE/app" "$tree/"
	cp -r "$SOURCE/test/vm" "$tree/test/"
	deb=$(. "$SOURCE/test/vm/setup.sh" && vm_pieces >&2 && echo "$VM_DEB")
	for n in 1 2; do
		IOVAD_VM_CACHE=$WORK/cache IOVAD_VM_KERNEL_DEB=$deb "$tree/test/vm/run.sh" --nics none --accel "$ACCEL" \
			--hugepages 0 --show "$WORK/bin" bash -c '
			cmp "$0/test/vm/run.sh" "$IOVAD_VM_TREE/test/vm/run.sh" && [ -L "$1/bash" ] &&
			[ -z "$(find / /iovad /iovad/test -maxdepth 0 -perm -0002)" ] && modprobe nvme' \
			"$tree" "$WORK/bin" &
		runs+=($!)
	done
	for n in "${runs[@]}"; do wait "$n" || status=$?; done
	return "$status"
}

# A folder with a name that QEMU's option syntax and the shell could trip over, too.
nobody_reads() {
	local out="$WORK/a folder, its name"
	"$VM" --nics none --out "$out" bash -c 'yes | head -c 1000000; echo finished >"$IOVAD_VM_OUT/end"' | head -c 1 || return
	has "$out/end" finished
}

machine_in_trouble() {
	check_fails 124 'timeout: the command was killed' "a command that hangs is killed" \
		"$VM" --nics none --timeout 12 bash -c 'trap "" TERM; while :; do sleep 1; done'
	check_fails 125 'the machine.s kernel panicked' "a panic of its kernel is noticed" \
		"$VM" --nics none bash -c 'echo c >/proc/sysrq-trigger; sleep 60'
	check "output that nobody reads holds nothing up" nobody_reads
	check_fails 125 'powered off without the command.s status' "a power off is" \
		"$VM" --nics none busybox poweroff -f
}

# Of the first cache; in a new one KVM would be tried again.
# shellcheck source=test/vm/setup.sh disable=SC1091
ACCEL=$(. "$SOURCE/test/vm/setup.sh" && . "$VM_DIR/accel.sh" && vm_pieces >&2 && vm_find_accel auto >&2 &&
	echo "$VM_ACCEL")

mistakes
check "faults are counted, those that the kernel left out too" fault_count
what_comes_back
for kind in e1000e virtio; do
	check "stock testpmd moves packets between two $kind, without a fault" testpmd_in "$kind"
done
check "with the kernel's drivers, their mappings can be traced" kernel_drivers
check "a checkout below /tmp is seen; two runs may fill one cache" checkout_in_tmp
machine_in_trouble
done_testing
