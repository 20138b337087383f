#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# bounce.sh [BUILD]: examples/heap_send in the emulated machine: two NICs, each in a VFIO container
# of its own in which nothing but a bounce pool and descriptor rings is mapped, send and receive
# heap memory and a file; checksums are compared from end to end, and the IOMMU refuses nothing. Without the
# pool it refuses the same traffic. Prints TAP.
# shellcheck disable=SC2317 # functions that others are told to call
set -euo pipefail

if [ -n "${IOVAD_VM_OUT:-}" ]; then # in the machine: BUILD
	# shellcheck source=test/vm/guest/lib.sh
	. "$IOVAD_VM_TREE/test/vm/guest/lib.sh"
	read -r A B <<<"$IOVAD_VM_NICS"
	PROGRAM=$1/examples/iovad-heap-send

	# one NAME LCORE NIC ARGUMENT...: EAL finds no device by itself, so it maps nothing.
	one() {
		local status=0
		"$PROGRAM" -l "$2" -a 0000:ff:1f.7 --iova-mode=va --no-telemetry --huge-unlink --file-prefix="$1" \
			--log-level=lib.eal:warning -- --device "$3" "${@:4}" >"/run/$1.log" 2>&1 </dev/null || status=$?
		echo "status $status" >>"/run/$1.log"
		cp "/run/$1.log" "$IOVAD_VM_OUT"
	}
	# The receiver first: NAME FROM TO SENDER'S-ARGUMENTS -- RECEIVER'S-ARGUMENTS
	both() {
		local name=$1 from=$2 to=$3 sender=()
		shift 3
		while [ "$1" != -- ]; do sender+=("$1"); shift; done
		shift
		: >"/run/$name-receive.log"
		one "$name-receive" 1 "$to" --receive --seconds 100 "$@" &
		tail -n +1 -f --pid $! "/run/$name-receive.log" | grep -qm 1 '^receiving\|^status' || true
		one "$name-send" 0 "$from" "${sender[@]}"
		# Where not all arrives, the receiver would wait for it.
		case $name in no-*) sleep 2; kill -INT "$(busybox pidof iovad-heap-send)" ;; esac
		wait
	}
	exchange() {
		dmesg --clear
		trace_iommu "$IOVAD_VM_OUT/$1.ftrace" both "$@"
		dmesg >"$IOVAD_VM_OUT/$1.dmesg"
	}
	pace=(--rate 3000 --frames 6000)
	exchange there "$A" "$B" "${pace[@]}" --payload 1400 --
	exchange back "$B" "$A" "${pace[@]}" --payload 1400 --
	exchange file "$A" "$B" --rate 3000 --file "$PROGRAM" --
	exchange region "$A" "$B" --mode region "${pace[@]}" -- --mode region
	exchange no-send "$A" "$B" --mode none "${pace[@]}" --
	exchange no-receive "$A" "$B" "${pace[@]}" -- --mode none
	exit 0
fi

# shellcheck source=test/vm/proof_lib.sh
. "$(dirname "$0")/proof_lib.sh"

# both_end_well NAME: no leak, and what was received is what was sent, with the same checksum over all of it.
both_end_well() {
	local numbers='[0-9]+ of [0-9]+ frames, [0-9]+ bytes, checksum 0x[0-9a-f]+'
	has "$1-send" '^status 0$' && has "$1-receive" '^status 0$' &&
		has "$1-send" '^leaks: 0$' && has "$1-receive" '^leaks: 0$' &&
		has "$1-receive" '^received: .* bad 0,' || return
	[ "$(grep -oE "$numbers" "$WORK/out/$1-send.log")" = "$(grep -oE "$numbers" "$WORK/out/$1-receive.log")" ] ||
		{ grep -hE "^(sent|received): " "$WORK/out/$1"-*.log; return 1; }
}

# all_bounced NAME: each frame went through both pools.
all_bounced() {
	local frames
	frames=$(sed -nE 's/^sent: ([0-9]+) .*/\1/p' "$WORK/out/$1-send.log")
	has "$1-send" "^bounced: sent $frames frames, .* 0 had to wait" && has "$1-receive" "^bounced: .* received $frames, .*dropped 0$"
}

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

need_machine
[ -x "$BUILD/examples/iovad-heap-send" ] || { echo "Bail out! examples/iovad-heap-send is not there: ninja -C $BUILD"; exit 1; }
check "two NICs, six exchanges" guest --timeout 280 --hugepages 320 -- bounce.sh "$BUILD"

MIB=$((1 << 20))
for name in there back file; do
	check "$name: all arrives as it was sent, nothing leaks" both_end_well "$name"
	check "$name: all of it through the bounce pools" all_bounced "$name"
	check "$name: the IOMMU refuses nothing" test "$(iommu_faults "$WORK/out/$name.dmesg")" = 0
	check "$name: nothing but two pools and rings was mapped, and all was unmapped" mapped_only "$name" $((2 * (16 + 4) * MIB))
	check "$name: by the kernel's events, what was mapped was unmapped" balanced "$name.ftrace"
done
check "region: all arrives as it was sent, nothing leaks" both_end_well region
check "region: the IOMMU refuses nothing" test "$(iommu_faults "$WORK/out/region.dmesg")" = 0
check "sent without a pool: the kernel reports reads by that NIC, and nothing else" refused no-send Read 00:03.0
check "sent without a pool: nothing of it arrives" has no-send-receive "^received: 0 of 0 frames"
check "received without a pool: the kernel reports writes by that NIC, and nothing else" refused no-receive Write 00:04.0
check "received without a pool: nothing of it can be read" has no-receive-receive "^received: 0 of 0 frames"
done_testing
