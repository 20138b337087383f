#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A whole program: Debian's testpmd forwarding between two net_null ports, which take an mbuf
# for every packet and free it again, with its usual mempool driver and with iovad's. The
# two take turns; a ratio is that of one turn.
set -euo pipefail

usage() {
	cat <<-'END'
	Usage: bench/testpmd.sh [-b BUILD] [-n TURNS] [-t SECONDS] [-o JSON] [-- OPTION OF testpmd...]
	  -b  build folder with lib/mempool/librte_mempool_iovad.so  (build-bench)
	      not below a folder that all may write to, as /tmp: EAL loads nothing from there
	  -n  turns of both drivers                (9)
	  -t  seconds of forwarding that count     (2)
	  -o  results as JSON
	IOVAD_BENCH_CPUS: two CPUs, as 0,1; the second forwards. IOVAD_BENCH_EAL: memory, by default
	"--in-memory -m 512" (huge pages) where there are any, else "--no-huge -m 512".
	END
}

ROOT=$(cd "$(dirname "$0")/.." && pwd)
BUILD=$ROOT/build-bench TURNS=9 SECONDS_EACH=2 JSON=""
while getopts b:n:t:o:h option; do
	case $option in
	b) BUILD=$OPTARG ;;
	n) TURNS=$OPTARG ;;
	t) SECONDS_EACH=$OPTARG ;;
	o) JSON=$OPTARG ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
done
shift $((OPTIND - 1))
PLUGIN=$(realpath "$BUILD/lib/mempool/librte_mempool_iovad.so")
CPUS=${IOVAD_BENCH_CPUS:-0,1}
free_pages=$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null || echo 0)
if [ "$free_pages" -ge 256 ]; then MEMORY="--in-memory -m 512"; else MEMORY="--no-huge --no-shconf -m 512"; fi
read -ra EAL <<<"${IOVAD_BENCH_EAL:-$MEMORY}"
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT

feed() {
	for _ in $(seq 300); do
		! grep -qE 'testpmd>|Cause:|Cannot|PANIC' "$LOG" || break
		sleep 0.1
	done
	echo start
	sleep 1
	echo show port stats all # from here on packets count
	sleep "$SECONDS_EACH"
	echo show port stats all
	echo stop
	echo quit
}

# run DRIVER...: packets per second of both ports.
run() {
	local driver=$1
	shift
	: >"$LOG"
	feed | IOVAD_MEMPOOL=limit=0xffffffff stdbuf -o0 dpdk-testpmd "${EAL[@]}" --lcores "0@${CPUS%,*},1@${CPUS#*,}" \
		--no-pci --no-telemetry --vdev=net_null0 --vdev=net_null1 -d "$PLUGIN" --mbuf-pool-ops-name="$driver" \
		-- -i --total-num-mbufs=16384 --forward-mode=io "$@" >"$LOG" 2>&1 || { tail -n 20 "$LOG" >&2; return 1; }
	grep -q "preferred mempool ops selected: $driver" "$LOG" || { echo "testpmd did not use $driver" >&2; return 1; }
	# Two ports before, two after.
	awk '/Rx-pps:/ && ++seen > 2 { sum += $2 } END { printf "%d\n", sum }' "$LOG"
}

RESULTS=()
for ((turn = 0; turn < TURNS; turn++)); do
	order=(ring_mp_mc iovad)
	[ $((turn % 2)) -eq 0 ] || order=(iovad ring_mp_mc)
	for driver in "${order[@]}"; do
		RESULTS+=("$driver $(run "$driver" "$@")")
	done
done

printf '%s\n' "${RESULTS[@]}" | python3 -c '
import json, statistics, sys
rates = {}
for line in sys.stdin:
    driver, pps = line.split()
    rates.setdefault(driver, []).append(int(pps))
stock, ours = rates["ring_mp_mc"], rates["iovad"]
ratios = [b / a for a, b in zip(stock, ours)]
print(f"{sys.argv[2]}: testpmd, net_null, million packets per second of both ports")
for driver, values in rates.items():
    print(f"{driver:12}{statistics.median(values) / 1e6:8.2f} [{min(values) / 1e6:.2f}-{max(values) / 1e6:.2f}]")
print(f"iovad / ring_mp_mc {statistics.median(ratios):.4f} [{min(ratios):.4f}-{max(ratios):.4f}] in {len(ratios)} turns")
if sys.argv[1]:
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"memory": sys.argv[2], "pps": rates, "ratios": ratios,
                   "ratio_median": statistics.median(ratios)}, file, indent=1)
' "$JSON" "${EAL[*]}"
