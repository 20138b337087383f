#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# bounce.sh [BUILD]: examples/heap_send in the emulated machine: two NICs, each in a VFIO container
# of its own in which nothing but a bounce pool and descriptor rings is mapped, send and receive
# heap memory and a file; checksums are compared from end to end, and the IOMMU refuses nothing. Without the
# pool it refuses the same traffic, at the content's addresses. Prints TAP.
# shellcheck disable=SC2317 # functions that others are told to call
set -euo pipefail

if [ -n "${IOVAD_VM_OUT:-}" ]; then # in the machine: BUILD
	# shellcheck source=test/vm/guest/lib.sh
	. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
	read -r A B <<<"$IOVAD_VM_NICS"
	PROGRAM=$1/examples/iovad-heap-send

	# Of DPDK's drivers only these: it loads all that it finds, which takes most of a program's start here.
	FOLDER=$(echo /usr/lib/x86_64-linux-gnu/dpdk/pmds-*)
	mkdir /run/drivers
	for driver in bus_pci bus_vdev net_e1000 mempool_ring; do cp -d "$FOLDER"/librte_$driver.so* /run/drivers; done
	mount --bind /run/drivers "$FOLDER"

	# start NAME LCORE NIC ARGUMENT...: in the background. EAL finds no device by itself, so it maps nothing.
	# What it says is on the host at once, and so there whatever happens later.
	start() {
		timeout --foreground -k 5 100 "$PROGRAM" -l "$2" -a 0000:ff:1f.7 --iova-mode=va --no-telemetry \
			--huge-unlink --file-prefix="$1" --log-level=lib.eal:warning -- --device "$3" "${@:4}" \
			>"$IOVAD_VM_OUT/$1.log" 2>&1 </dev/null &
	}
	# finish NAME PID
	finish() {
		local status=0
		wait "$2" || status=$?
		echo "status $status" >>"$IOVAD_VM_OUT/$1.log"
	}
	# The receiver first: NAME FROM TO SENDER'S-ARGUMENTS -- RECEIVER'S-ARGUMENTS
	both() {
		local name=$1 from=$2 to=$3 arguments=(--seconds 20) sender receiver patience=40 # quarters of a second
		[[ $1 != no-* ]] || patience=1
		shift 3
		while [ "$1" != -- ]; do arguments+=("$1"); shift; done
		shift
		start "$name-receive" 1 "$to" --receive --seconds 90 "$@"
		receiver=$!
		until grep -qE '^(sending and )?receiving' "$IOVAD_VM_OUT/$name-receive.log"; do
			kill -0 "$receiver" 2>/dev/null || break
			sleep 0.1
		done
		start "$name-send" 0 "$from" "${arguments[@]}"
		sender=$!
		finish "$name-send" "$sender"
		# What was sent has arrived, or never will; then the receiver would wait for it.
		while [ $((patience--)) -gt 0 ] && kill -0 "$receiver" 2>/dev/null; do sleep 0.25; done
		kill "$receiver" 2>/dev/null || true
		finish "$name-receive" "$receiver"
	}
	exchange() {
		dmesg --clear
		trace_iommu "$IOVAD_VM_OUT/$1.ftrace" both "$@"
		dmesg >"$IOVAD_VM_OUT/$1.dmesg"
		echo "$1: until $SECONDS s"
	}
	# As fast as they go: QEMU loses nothing as long as no more than 10000 frames wait for a NIC, but
	# sends some of them before others.
	many=(--frames 6000 --payload 1400)
	exchange there "$A" "$B" "${many[@]}" --
	exchange ways "$B" "$A" --send "${many[@]}" -- --reply "${many[@]}" --heap 2
	exchange file "$A" "$B" --file "$1/lib/libiovad.so" --
	exchange tight "$A" "$B" "${many[@]}" --pool-mib 4 --descriptors 992 --
	exchange sizes "$B" "$A" --frames 1000 --payload 100,1400 --copy-max 700 --
	exchange region "$A" "$B" --mode region "${many[@]}" -- --mode region
	exchange no-send "$A" "$B" --mode none --frames 500 --
	exchange no-receive "$A" "$B" --frames 500 -- --mode none
	exit 0
fi

# shellcheck source=test/vm/proof_lib.sh
. "$(dirname "$0")/proof_lib.sh"

# line NAME SENT|RECEIVED: what was, with the checksum over all of it.
line() { sed -nE "s/^$2: ([0-9]+ of [0-9]+ frames, [0-9]+ bytes, checksum 0x[0-9a-f]+).*/\1/p" "$WORK/out/$1.log"; }

ends_without_leak() { has "$1" '^status 0$' && has "$1" '^leaks: 0$'; }

# arrives FROM TO: what was received is what was sent.
arrives() {
	has "$2" '^received: .* bad 0,' || return
	line "$1" sent
	line "$2" received
	[ -n "$(line "$1" sent)" ] && [ "$(line "$1" sent)" = "$(line "$2" received)" ]
}

both_end_well() { ends_without_leak "$1-send" && ends_without_leak "$1-receive" && arrives "$1-send" "$1-receive"; }

# bounced FROM TO: each frame went through both pools.
bounced() {
	local frames
	frames=$(sed -nE 's/^sent: ([0-9]+) .*/\1/p' "$WORK/out/$1.log")
	has "$1" "^to the device: copied $frames frames, .* mapped 0," &&
		has "$2" "^from the device: copied $frames frames, .*dropped 0$"
}

both_bounced() { bounced "$1-send" "$1-receive"; }

# the_other_way CHECK NAME
the_other_way() { "$1" "$2-receive" "$2-send"; }

# mapped_only NAME BYTES: so much was mapped in all, by the kernel's own account, and below 4 GiB, where
# EAL maps nothing. Not counted: two pages at address 0, which VFIO maps for a moment in each new
# container, to see what the IOMMU can do.
mapped_only() {
	awk -v expected="$2" '
		/ map: IOMMU: iova=/ {
			match($0, /iova=0x[0-9a-f]+/)
			if (substr($0, RSTART + 7, RLENGTH - 7) !~ /^00000000/) { print; high = 1 }
			if ($0 ~ /iova=0x0+ - 0x0+2000 /)
				next
			match($0, /size=[0-9]+/)
			sum += substr($0, RSTART + 5, RLENGTH - 5)
		}
		END { print "mapped", sum + 0, "of", expected; exit high || sum != expected }' "$WORK/out/$1.ftrace"
}

# by_size NAME: half of the frames were copied, half of them mapped, with a bounce pool at the other end.
by_size() {
	has "$1-send" '^to the device: copied 500 frames, [0-9]+ bytes; mapped 500,' &&
		has "$1-receive" '^from the device: copied 1000 frames, .*dropped 0$'
}

# mapped_by_kernel NAME: single pages, as often as iovad says; the rest of what it mapped is as in "there".
mapped_by_kernel() {
	local pages
	pages=$(grep -c ' map: IOMMU: .* size=4096$' "$WORK/out/$1.ftrace")
	echo "$pages pages; $(maps "$1-send") mappings, $(maps there-send) of them of pool and rings"
	[ "$pages" -gt 0 ] && [ "$pages" = $(($(maps "$1-send") - $(maps there-send))) ]
}
maps() { sed -nE 's/.*; mapped ([0-9]+), unmapped .*/\1/p' "$WORK/out/$1.log"; }

# refused_in_content NAME: all that was refused lies in what was to be sent.
refused_in_content() {
	local first last address
	read -r first last < <(sed -nE 's/^content: .* at (0x[0-9a-f]+) - (0x[0-9a-f]+)$/\1 \2/p' "$WORK/out/$1-send.log")
	echo "content: $first - $last"
	for address in $(iommu_fault_addresses "$WORK/out/$1.dmesg"); do
		echo "$address"
		((address >= (first & ~4095) && address <= last)) || return
	done
	[ -n "${address:-}" ]
}

# none_is_good NAME: QEMU sends some of them, with something else where it could not read.
none_is_good() {
	local received bad
	read -r received bad < <(sed -nE 's/^received: ([0-9]+) of .*; bad ([0-9]+),.*/\1 \2/p' "$WORK/out/$1.log")
	echo "received $received, bad $bad"
	[ -n "$received" ] && [ "$received" = "$bad" ]
}

need_machine
[ -x "$BUILD/examples/iovad-heap-send" ] || { echo "Bail out! examples/iovad-heap-send is not there: ninja -C $BUILD"; exit 1; }
# 48 bits, so that an address of the process's is refused because nothing is mapped there, and not as too wide.
check "two NICs, eight exchanges" guest --aw-bits 48 --hugepages 320 -- bounce.sh "$BUILD"
check "the sender says what its README shows" \
	python3 -B "$SOURCE/test/docs/shown.py" "$SOURCE" examples/heap_send/README.md test/vm/bounce.sh "$WORK/out/tight-send.log"

MIB=$((1 << 20))
RINGS=$((2 * 4 * MIB))
for name in there ways file tight; do
	check "$name: all arrives as it was sent, nothing leaks" both_end_well "$name"
	check "$name: all of it through the bounce pools" both_bounced "$name"
	if [ "$name" = ways ]; then
		check "$name: and the other way" the_other_way arrives "$name"
		check "$name: that through the bounce pools too" the_other_way bounced "$name"
	fi
	pools=$((2 * 16))
	[ "$name" != tight ] || pools=$((4 + 16))
	check "$name: the IOMMU refuses nothing" test "$(iommu_faults "$WORK/out/$name.dmesg")" = 0
	check "$name: nothing but two pools and rings was mapped" mapped_only "$name" $((pools * MIB + RINGS))
	check "$name: by the kernel's events, what was mapped was unmapped" balanced "$name.ftrace"
done
check "tight: the pool was exhausted at times" has tight-send '^to the device: .* [1-9][0-9]* bursts had to wait$'
check "sizes: all arrives as it was sent, nothing leaks" both_end_well sizes
check "sizes: the short ones were copied, the long ones mapped" by_size sizes
check "sizes: the kernel has mapped pages as often as iovad says" mapped_by_kernel sizes
check "sizes: the IOMMU refuses nothing" test "$(iommu_faults "$WORK/out/sizes.dmesg")" = 0
check "sizes: by the kernel's events, what was mapped was unmapped" balanced sizes.ftrace
check "region: all arrives as it was sent, nothing leaks" both_end_well region
check "region: the IOMMU refuses nothing" test "$(iommu_faults "$WORK/out/region.dmesg")" = 0
check "sent without a pool: the kernel reports reads by that NIC, and nothing else" refused no-send Read 00:03.0
check "sent without a pool: of the content, which is not mapped" refused_in_content no-send
check "sent without a pool: what arrives is not the content" none_is_good no-send-receive
check "received without a pool: the kernel reports writes by that NIC, and nothing else" refused no-receive Write 00:04.0
check "received without a pool: nothing of it can be read" has no-receive-receive "^received: 0 of 0 frames"
done_testing
