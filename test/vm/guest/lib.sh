# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# For scripts that run in the emulated machine: . "$IOVAD_VM_TREE/test/vm/guest/lib.sh"

# driver_of ADDRESS: what is bound to the PCI device; empty where nothing is.
driver_of() {
	local link=/sys/bus/pci/devices/$1/driver
	[ ! -L "$link" ] || basename "$(readlink "$link")"
}

# bind_driver ADDRESS DRIVER: whatever had it before.
bind_driver() {
	local device=/sys/bus/pci/devices/$1
	[ "$(driver_of "$1")" != "$2" ] || return 0
	[ ! -L "$device/driver" ] || echo "$1" >"$device/driver/unbind"
	echo "$2" >"$device/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = "$2" ]
}
