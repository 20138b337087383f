# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Which accelerator runs the emulated machine. KVM is known to work only once it booted
# the kernel: /dev/kvm may be there, opened even, and the guest never gets anywhere. So
# it is tried, for a bounded time, and the result is kept in VM_CACHE.

VM_ACCEL_SECONDS=12 # KVM needs two for the same
VM_ACCEL=           # set by vm_find_accel: kvm or tcg

# One thread translates for all CPUs, at no loss of speed here: with one for each, QEMU 7.2 may go
# on running code that another CPU has replaced meanwhile. The kernel does that when a trace
# event is switched on (to the scheduler, too), and now and then the CPU met the breakpoint of
# before for ever.
vm_accel_arguments() {
	case $VM_ACCEL in
	kvm) echo "-accel kvm -cpu host" ;;
	tcg) echo "-accel tcg,thread=single -cpu max" ;;
	esac
}

# On each of these it could come out otherwise.
vm_accel_key() {
	{
		uname -r
		qemu-system-x86_64 --version
		grep -m1 '^model name' /proc/cpuinfo
		echo "$VM_KERNEL"
	} | vm_hash
}

vm_kvm_works() {
	local console=$VM_CACHE/probe.log
	guarded timeout -k 2 "$VM_ACCEL_SECONDS" qemu-system-x86_64 -nodefaults -no-user-config \
		-display none -no-reboot -accel kvm -cpu host -m 512 -smp 2 \
		-machine q35,kernel-irqchip=split -device intel-iommu,intremap=on,caching-mode=on \
		-chardev "file,id=console,path=${console//,/,,}" -serial chardev:console -kernel "$VM_KERNEL" -initrd "$VM_INITRAMFS" \
		-append "console=ttyS0 quiet panic=-1 intel_iommu=on iovad.probe" >"$console.qemu" 2>&1 || return
	grep -q 'iovad-vm: probe: alive' "$console"
}

# vm_find_accel auto|kvm|tcg
vm_find_accel() {
	local result vm_lock
	VM_ACCEL=$1
	[ "$1" = auto ] || return 0
	VM_ACCEL=tcg
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 0
	result=$VM_CACHE/accel-$(vm_accel_key)
	exec {vm_lock}>"$VM_CACHE/lock"
	flock "$vm_lock"
	if [ ! -s "$result" ]; then
		say "Trying KVM (once, at most $VM_ACCEL_SECONDS s)."
		if vm_kvm_works; then VM_ACCEL=kvm; fi
		echo "$VM_ACCEL" >"$result"
		say "The emulated machine runs with: $VM_ACCEL"
	fi
	exec {vm_lock}>&-
	VM_ACCEL=$(cat "$result")
}
