# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# For scripts that run in the emulated machine: . "$IOVAD_VM_TREE/test/vm/guest/lib.sh"

# driver_of ADDRESS: what is bound to the PCI device; empty where nothing is.
driver_of() {
	local link=/sys/bus/pci/devices/$1/driver
	[ -L "$link" ] || return 0
	link=$(readlink "$link")
	echo "${link##*/}"
}

# bind_driver ADDRESS DRIVER: whatever had it before. Its module must be loaded.
bind_driver() {
	local device=/sys/bus/pci/devices/$1
	[ ! -e "$device/driver" ] || echo "$1" >"$device/driver/unbind"
	echo "$2" >"$device/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ -e "/sys/bus/pci/drivers/$2/$1" ]
}

# iommu_group_of ADDRESS: its number, the name of its file in /dev/vfio.
iommu_group_of() {
	local link
	link=$(readlink "/sys/bus/pci/devices/$1/iommu_group") || return
	echo "${link##*/}"
}

# netdev_of ADDRESS: what the kernel's driver calls the interface.
netdev_of() {
	local dir
	for dir in "/sys/bus/pci/devices/$1"/net/* "/sys/bus/pci/devices/$1"/virtio*/net/*; do
		[ ! -d "$dir" ] || { echo "${dir##*/}"; return; }
	done
	return 1
}

# iommu_faults [FILE]: how many accesses the IOMMU refused, by the kernel's log, or by
# FILE with the text of one. None is exact. Of many it is a lower bound: the kernel logs
# ten in five seconds and counts the rest, the hardware keeps one until it is read.
iommu_faults() {
	if [ $# -gt 0 ]; then cat "$1"; else dmesg; fi | awk '
		/DMAR:.*fault addr/ { n++ }
		/dmar_fault: [0-9]+ callbacks suppressed/ { sub(/.*dmar_fault: /, ""); n += $1 }
		END { print n + 0 }'
}

# iommu_fault_addresses [FILE]: each that was logged, once.
iommu_fault_addresses() {
	if [ $# -gt 0 ]; then cat "$1"; else dmesg; fi |
		sed -n 's/.*DMAR:.*fault addr \(0x[0-9a-f]*\).*/\1/p' | sort -u
}

# trace_iommu FILE COMMAND...: each change that the kernel makes to an IOMMU's page table
# while COMMAND runs, as ftrace text in FILE (iovad-perf replays it); COMMAND's status, or
# 1 where events were lost: TRACE_KIB (65536, for each CPU) was too little.
trace_iommu() {
	local tracing=/sys/kernel/tracing file=$1 status=0 lost
	shift
	echo 0 >"$tracing/tracing_on"
	echo "${TRACE_KIB:-65536}" >"$tracing/buffer_size_kb"
	: >"$tracing/trace"
	echo 1 >"$tracing/events/iommu/map/enable"
	echo 1 >"$tracing/events/iommu/unmap/enable"
	echo 1 >"$tracing/tracing_on"
	"$@" || status=$?
	echo 0 >"$tracing/tracing_on"
	echo 0 >"$tracing/events/iommu/map/enable"
	echo 0 >"$tracing/events/iommu/unmap/enable"
	cat "$tracing/trace" >"$file"
	lost=$(cat "$tracing"/per_cpu/cpu*/stats |
		awk '$1 == "overrun:" || $1 == "dropped" && $2 == "events:" { n += $NF } END { print n + 0 }')
	if [ "$lost" -gt 0 ]; then
		echo "trace_iommu: $lost events were lost; give it a larger TRACE_KIB" >&2
		return 1
	fi
	return "$status"
}

# watched NAME PROGRAM ARGUMENT...: a program of ours with both NICs, its EAL arguments and what
# follows "--"; $IOVAD_VM_OUT gets what it says and its status in NAME.log, what the kernel
# said in NAME.dmesg, and the IOMMU's events in NAME.ftrace.
watched() {
	local name=$1 program=$2 status=0 a b
	shift 2
	read -r a b <<<"$IOVAD_VM_NICS"
	dmesg --clear
	trace_iommu "$IOVAD_VM_OUT/$name.ftrace" "$program" -l 0-1 -a "$a" -a "$b" --no-telemetry --huge-unlink \
		--log-level=lib.eal:warning --log-level=lib.ethdev:warning -- "$@" >"$IOVAD_VM_OUT/$name.log" 2>&1 || status=$?
	echo "status $status" >>"$IOVAD_VM_OUT/$name.log"
	dmesg >"$IOVAD_VM_OUT/$name.dmesg"
}

# join_nics: for two NICs with the kernel's driver (--kernel-driver): 10.9.0.1 on the
# first, and 10.9.0.2 on the second in a network namespace of its own, "far", without
# which the kernel would not send over the wire. Then: ip netns exec far COMMAND
join_nics() {
	local near far
	read -r near far <<<"$IOVAD_VM_NICS"
	near=$(netdev_of "$near") && far=$(netdev_of "$far") || return
	ip netns add far &&
		ip link set "$far" netns far &&
		ip addr add 10.9.0.1/24 dev "$near" &&
		ip link set "$near" up &&
		ip -n far addr add 10.9.0.2/24 dev "$far" &&
		ip -n far link set "$far" up &&
		ip -n far link set lo up
}

# moves_packets LOG COUNT COMMAND...: COMMAND is a testpmd with --stats-period 1; it is
# interrupted once both ports received COUNT packets each. Fails where it ends before.
# How long that takes is the machine's timeout's to bound. LOG must not be in
# $IOVAD_VM_OUT, whose changes are not noticed at once.
moves_packets() {
	local log=$1 count=$2 pid line port=0 rx=(0 0) status=0
	shift 2
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while read -r line; do
		if [[ $line =~ NIC\ statistics\ for\ port\ ([01]) ]]; then
			port=${BASH_REMATCH[1]}
		elif [[ $line =~ ^RX-packets:\ ([0-9]+) ]]; then
			rx[port]=${BASH_REMATCH[1]}
		fi
		[ "${rx[0]}" -lt "$count" ] || [ "${rx[1]}" -lt "$count" ] || break
	done < <(tail -n +1 -f --pid "$pid" "$log" 2>/dev/null)
	kill -INT "$pid" 2>/dev/null
	wait "$pid" || status=$?
	# It ends by the signal, after it tidied up.
	if [ "$status" -ne 0 ] && [ "$status" -ne 130 ]; then
		echo "moves_packets: status $status" >&2
		return 1
	fi
	echo "received: ${rx[*]} packets"
	[ "${rx[0]}" -ge "$count" ] && [ "${rx[1]}" -ge "$count" ]
}
