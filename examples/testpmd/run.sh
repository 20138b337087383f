#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# An unmodified testpmd whose mbufs lie where iovad put them: see usage().
set -euo pipefail

# shellcheck source=app/setup/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../app/setup/machine.sh"
# shellcheck source=test/vm/guest/lib.sh
. "$REPO/test/vm/guest/lib.sh"

usage() {
	cat <<'USAGE'
Usage: examples/testpmd/run.sh [options] [-- OPTION OF session.py...]

Runs Debian's testpmd, with iovad's mempool driver, between two NICs bound to vfio-pci,
and checks what iovad, the kernel's iommu events and the kernel's log say. README.md
beside this file explains each step.

  --nics A,B        PCI addresses of two NICs of this machine that are connected to each
                    other; without it a machine with an IOMMU and two NICs is emulated
  --emulate KIND    e1000e (default) or virtio
  --build DIR       iovad's build folder (build)
  --seconds N       of traffic (10)
  --limit ADDRESS   the highest that an mbuf may have (0xffffffff)
  --json FILE       results

With --nics, as root: their drivers are changed to vfio-pci, huge pages are reserved, and
both are put back at the end. The emulated machine changes nothing on this one.
USAGE
}

NICS="" KIND=e1000e BUILD=$REPO/build JSON=""
SESSION=()
HUGE_MIB=512

parse_arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--nics | --emulate | --build | --seconds | --limit | --json)
			[ $# -ge 2 ] || die "$1 needs a value."
			;;&
		--nics) NICS=${2//,/ }; shift ;;
		--emulate) KIND=$2; shift ;;
		--build) BUILD=$(realpath "$2"); shift ;;
		--seconds | --limit) SESSION+=("$1" "$2"); shift ;;
		--json) JSON=$(realpath -m "$2"); shift ;;
		-h | --help) usage; exit 0 ;;
		--) shift; SESSION+=("$@"); break ;;
		*) usage >&2; die "unknown option: $1" ;;
		esac
		shift
	done
}

need_nic() {
	[ -e "/sys/bus/pci/devices/$1" ] || die "there is no PCI device $1." \
		"List them with: lspci -D | grep -i ethernet"
	[ -e "/sys/bus/pci/devices/$1/iommu_group" ] || die "$1 is not behind an IOMMU." \
		"Switch it on in the firmware (VT-d, AMD-Vi) and on the kernel's command line" \
		"(intel_iommu=on), or leave --nics out: then a machine that has one is emulated."
}

DRIVERS=() # "ADDRESS DRIVER" as it was

put_back_drivers() {
	local pair
	for pair in "${DRIVERS[@]}"; do
		say "Giving ${pair% *} back to ${pair#* }."
		bind_driver "${pair% *}" "${pair#* }" || say "That failed."
		echo >"/sys/bus/pci/devices/${pair% *}/driver_override"
	done
}

on_this_machine() {
	local nic driver
	need_root "examples/testpmd/run.sh"
	for nic in $NICS; do need_nic "$nic"; done
	modprobe vfio-pci || die "the module vfio-pci cannot be loaded." "Install the kernel's modules."
	on_exit put_back_drivers
	for nic in $NICS; do
		driver=$(driver_of "$nic")
		[ "$driver" != vfio-pci ] || continue
		say_change "binding $nic to vfio-pci until the end (now: ${driver:-nothing})"
		[ -z "$driver" ] || DRIVERS+=("$nic $driver")
		bind_driver "$nic" vfio-pci || die "$nic cannot be bound to vfio-pci." "See dmesg."
	done
	huge_take "$HUGE_MIB"
	guarded python3 "$REPO/examples/testpmd/session.py" --nics "$NICS" --build "$BUILD" \
		${JSON:+--json "$JSON"} --eal=--huge-dir="$HUGE_DIR" "${SESSION[@]}"
}

emulated() {
	local out status=0
	out=$(mktemp -d)
	# The quotes of the inner shell: its arguments are ours.
	# shellcheck disable=SC2016
	guarded "$REPO/test/vm/run.sh" --nics "$KIND" --out "$out" --show "$BUILD" -- bash -c \
		'exec python3 "$IOVAD_VM_TREE/examples/testpmd/session.py" --nics "$IOVAD_VM_NICS" \
			--build "$0" --json "$IOVAD_VM_OUT/session.json" "$@"' \
		"$BUILD" "${SESSION[@]}" || status=$?
	[ -z "$JSON" ] || [ ! -f "$out/session.json" ] || cp "$out/session.json" "$JSON"
	rm -rf "$out"
	return $status
}

main() {
	parse_arguments "$@"
	command -v dpdk-testpmd >/dev/null || die "dpdk-testpmd is not installed." \
		"On Debian it is in the package dpdk (app/quickstart.sh installs it)."
	if [ -n "$NICS" ]; then on_this_machine; else emulated; fi
}

main "$@"
