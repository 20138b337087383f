#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The pieces of the emulated machine: packages, kernel, initramfs. Run it, or source it
# and call vm_setup (installs packages) or vm_pieces (uses what is installed).
#
# The kernel is Debian's, unpacked and never installed. Everything lies in VM_CACHE,
# in folders and files whose name is a hash of what they were made from: a piece that
# changed gets another name, and a machine that is running keeps what it started with.
# Each is made aside and renamed, under a lock, so that two runs can start at once.

VM_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${SETUP_DIR:-}" ]; then
	# shellcheck source=app/setup/machine.sh
	. "$VM_DIR/../../app/setup/machine.sh"
fi

VM_CACHE=${IOVAD_VM_CACHE:-$REPO/build/vm}
# What the first stage loads, from its initramfs.
VM_BOOT_MODULES=(virtio_pci 9pnet_virtio 9p overlay virtio_console vfio_iommu_type1 vfio-pci)
# What modprobe finds in the guest, besides.
VM_MODULES=(e1000e e1000 igb virtio_net nvme uio_pci_generic)
VM_DEB='' VM_KERNEL='' VM_KERNEL_DIR='' VM_INITRAMFS='' # set by vm_pieces

vm_hash() { sha256sum | cut -c1-16; }

vm_need_tools() {
	local tool missing=()
	[ "$(uname -m)" = x86_64 ] || die "the emulated machine is an x86-64 one, and so must the host be: $(uname -m)."
	for tool in qemu-system-x86_64 busybox cpio modprobe depmod xz dpkg-deb; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] || die "not installed: ${missing[*]}" \
		"test/vm/setup.sh (as root) installs what the emulated machine needs: ${VM_PACKAGES[*]}"
	# In an initramfs there are no shared libraries.
	! ldd "$(command -v busybox)" >/dev/null 2>&1 || die "this busybox needs shared libraries." "Install busybox-static."
}

# The name of the package that linux-image-amd64 stands for.
vm_kernel_package() {
	apt-cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'
}

# vm_download_kernel DIR: the package into DIR. Lists that are missing or old are
# renewed, which only root can.
vm_download_kernel() {
	local package
	package=$(vm_kernel_package)
	if [ -n "$package" ] && (cd "$1" && apt_get download -o APT::Sandbox::User=root "$package"); then
		return
	fi
	apt_get update || true
	package=$(vm_kernel_package)
	if [ -n "$package" ] && (cd "$1" && apt_get download -o APT::Sandbox::User=root "$package"); then
		return
	fi
	die "the kernel's package (${package:-linux-image-amd64}) could not be downloaded." \
		"What apt-get said is above. Check the network, see that \"apt-get update\" works, and run" \
		"this again; or give a package that you have: IOVAD_VM_KERNEL_DEB=/path/linux-image-...deb"
}

vm_newest_deb() { find "$VM_CACHE" -maxdepth 1 -name 'linux-image-*.deb' | sort -V | tail -n 1; }

# The package is kept, so that another choice of modules needs no network.
vm_find_deb() {
	local temp=$VM_CACHE/new.deb
	VM_DEB=${IOVAD_VM_KERNEL_DEB:-$(vm_newest_deb)}
	if [ -z "$VM_DEB" ]; then
		say_change "downloading Debian's kernel (70 MB) into $VM_CACHE; it is not installed"
		rm -rf "$temp"
		mkdir "$temp"
		vm_download_kernel "$temp"
		mv "$temp"/linux-image-*.deb "$VM_CACHE/"
		rmdir "$temp"
		VM_DEB=$(vm_newest_deb)
	fi
	[ -r "$VM_DEB" ] || die "no such package: $VM_DEB" "It is named by IOVAD_VM_KERNEL_DEB."
}

# vm_uncompress BZIMAGE VMLINUX: unpacking itself takes the guest three seconds under
# emulation. The boot protocol says where the payload lies; its last four bytes are its
# size and no part of the stream.
vm_uncompress() {
	local sectors offset length
	sectors=$(od -An -tu1 -j 497 -N 1 "$1")
	offset=$(od -An -tu4 -j 584 -N 4 "$1")
	length=$(od -An -tu4 -j 588 -N 4 "$1")
	head -c $(((sectors + 1) * 512 + offset + length)) "$1" | tail -c "$length" |
		xz -dc --single-stream >"$2" 2>/dev/null
}

# vm_copy_modules FROM TO VERSION NAME...: these and what they need.
vm_copy_modules() {
	local from=$1 to=$2 version=$3 module
	shift 3
	for module in "$@"; do
		modprobe -d "$from" -S "$version" --show-depends "$module" || return
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$to/list"
	while read -r module; do
		install -D -m 644 "$module" "$to/${module#"$from/"}"
	done <"$to/list"
	rm "$to/list"
	cp "$from/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$to/lib/modules/$version/"
	depmod -b "$to" "$version"
}

# vm_unpack_kernel DEB DIR
vm_unpack_kernel() {
	local deb=$1 dir=$2 all=$2/all version
	mkdir -p "$all"
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$all" ./boot ./lib/modules ||
		die "this package cannot be unpacked: $deb" "Remove it, and run this again."
	version=$(cd "$all/lib/modules" && echo *)
	# depmod is the package's own script's work, which did not run.
	depmod -b "$all" "$version"
	vm_copy_modules "$all" "$dir" "$version" "${VM_BOOT_MODULES[@]}" "${VM_MODULES[@]}" ||
		die "this kernel lacks a module that the machine needs; modprobe's message is above." \
			"Remove $deb, and run this again."
	# Without an entry that QEMU knows, the packed kernel does as well.
	if ! vm_uncompress "$all/boot/vmlinuz-$version" "$dir/kernel"; then
		cp "$all/boot/vmlinuz-$version" "$dir/kernel"
	fi
	cp "$all/boot/config-$version" "$dir/config"
	rm -rf "$all"
	echo "$version" >"$dir/version"
}

vm_make_kernel() {
	local dir
	vm_find_deb
	dir=$VM_CACHE/kernel-$({ echo "$VM_DEB ${VM_BOOT_MODULES[*]} ${VM_MODULES[*]}"
		declare -f vm_unpack_kernel vm_copy_modules vm_uncompress; } | vm_hash)
	if [ ! -d "$dir" ]; then
		rm -rf "$dir.new"
		mkdir "$dir.new"
		vm_unpack_kernel "$VM_DEB" "$dir.new"
		mv "$dir.new" "$dir"
	fi
	VM_KERNEL_DIR=$dir
	# shellcheck disable=SC2034 # for run.sh
	VM_KERNEL=$dir/kernel
}

# vm_pack DIR FILE: busybox, the first stage, and its modules, numbered in load order.
vm_pack() {
	local dir=$1 module version n=10
	version=$(cat "$VM_KERNEL_DIR/version")
	mkdir -p "$dir/bin" "$dir/modules"
	cp "$(command -v busybox)" "$dir/bin/busybox"
	ln -s busybox "$dir/bin/sh"
	install -m 755 "$VM_DIR/guest/init.sh" "$dir/init"
	while read -r module; do
		cp "$module" "$dir/modules/$n-${module##*/}"
		n=$((n + 1))
	done < <(for module in "${VM_BOOT_MODULES[@]}"; do
		modprobe -d "$VM_KERNEL_DIR" -S "$version" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
	(cd "$dir" && find . | cpio -o -H newc --quiet) >"$2"
}

vm_make_initramfs() {
	local temp
	VM_INITRAMFS=$VM_CACHE/initramfs-$({ echo "$VM_KERNEL_DIR"
		cat "$(command -v busybox)" "$VM_DIR/guest/init.sh"
		declare -f vm_pack; } | vm_hash)
	[ ! -f "$VM_INITRAMFS" ] || return 0
	temp=$VM_CACHE/initramfs.new
	rm -rf "$temp" "$temp.cpio"
	vm_pack "$temp" "$temp.cpio"
	mv "$temp.cpio" "$VM_INITRAMFS"
	rm -rf "$temp"
}

# Say where the pieces are, making those that are not there.
vm_pieces() {
	local vm_lock
	vm_need_tools
	mkdir -p "$VM_CACHE"
	VM_CACHE=$(cd "$VM_CACHE" && pwd)
	exec {vm_lock}>"$VM_CACHE/lock"
	flock "$vm_lock"
	vm_make_kernel
	vm_make_initramfs
	exec {vm_lock}>&-
}

vm_setup() {
	install_packages "${VM_PACKAGES[@]}"
	mkdir -p "$VM_CACHE"
	need_disk "$VM_CACHE" 700 "the emulated machine's kernel"
	vm_pieces
	say "The emulated machine: $VM_KERNEL_DIR, $VM_INITRAMFS"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
	set -euo pipefail
	need_root "test/vm/setup.sh"
	on_exit give_folders_to_caller
	vm_setup
fi
