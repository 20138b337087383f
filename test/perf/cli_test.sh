#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# iovad-perf as its user meets it: arguments, errors, exit status, output files, both traces through all
# engines, churn and bounce on the software IOMMU. Prints TAP.
#   cli_test.sh IOVAD_PERF IOVAD_PERF_ON_A_BROKEN_ALLOCATOR TRACES
set -u

perf=$1
broken=$2
traces=$3
iperf=$traces/e1000e-iperf3-strict.ftrace.xz
fio=$traces/nvme-fio-strict.ftrace.xz
here=$(dirname "$0")
# shellcheck source=test/lib/tap.sh
. "$here/../lib/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work" "$TAP_LOG"' EXIT

# One core is enough for two lcores: they take turns.
core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
eal=(--lcores "0@$core,1@$core" --no-huge -m 512 --no-pci --no-shconf --no-telemetry)
replay() { "$perf" "${eal[@]}" -- replay "$@"; }
churn() { "$perf" "${eal[@]}" -- churn "$@"; }
bounce() { "$perf" "${eal[@]}" -- bounce "$@"; }
on_broken() { IOVAD_TEST_FAULT=$1 "$broken" "${eal[@]}" -- replay "$iperf"; }
churn_on_broken() { IOVAD_TEST_FAULT=$1 "$broken" "${eal[@]}" -- churn --mode strict --ops 20000 --max-bytes 4096; }

check 'help' "$perf" --help
check 'help after --' "$perf" -- --help
check 'help of replay' "$perf" -- replay --help
# For as long as it takes, not for so many calls.
bounce_on_broken() { IOVAD_TEST_FAULT=$1 IOVAD_TEST_EVERY=99 "$broken" "${eal[@]}" -- bounce --rounds 1 --sizes 64,9000; }

check 'help of churn' "$perf" -- churn --help
check 'help of bounce' "$perf" -- bounce --help
check_fails 2 'no sub-command: it stands after' 'no arguments' "$perf"
check_fails 2 'no sub-command after --' 'nothing after --' "$perf" --
check_fails 2 "no sub-command 'frob'" 'unknown sub-command' "$perf" -- frob
check_fails 2 'replay needs the name of a trace' 'no trace' replay
check_fails 2 "does not know '--frob'" 'unknown option' replay "$iperf" --frob
check_fails 2 "from 1 to 1024, not '0'" 'no lcores' replay "$iperf" --lcores 0
check_fails 2 '^iovad-perf: --lcores 3, but EAL has 2' 'more lcores than EAL has' replay "$iperf" --lcores 3
check_fails 2 "churn does not know 'stray'" 'a word after churn' churn stray
check_fails 2 "bounce does not know 'stray'" 'a word after bounce' bounce stray
check_fails 2 'each is to be larger' 'sizes of bounce that do not ascend' bounce --sizes 64,64
check_fails 2 '/dev/full: cannot write' 'a full disk for bounce' bounce --rounds 1 --sizes 64 --svg /dev/full
check_fails 2 '/dev/full: cannot write' 'a full disk for churn' churn --ops 1 --json /dev/full
check_fails 2 "'stray' is no EAL option" 'a word among the EAL options' \
	"$perf" "${eal[@]}" stray -- replay "$iperf"
check_fails 2 'EAL cannot start' 'a bad EAL option' "$perf" --no-such-option -- replay "$iperf"

check_fails 2 '/nonexistent: cannot open: No such file' 'no such trace' replay /nonexistent
check_fails 2 'nonexistent/o.json: cannot write' 'a report that cannot be written' \
	replay "$iperf" --json "$work/nonexistent/o.json"
check_fails 2 '/dev/full: cannot write: No space left' 'a full disk' replay "$iperf" --json /dev/full
check_fails 2 'would overwrite the trace' 'the trace as output' replay "$iperf" --svg "$iperf"

: >"$work/empty"
check_fails 2 'empty: the file is empty' 'an empty trace' replay "$work/empty"
head -c 300000 "$iperf" >"$work/cut.xz"
check_fails 2 'cut.xz:[0-9]+: the xz data is cut off' 'a cut xz' replay "$work/cut.xz"
xz -dc "$iperf" >"$work/plain"
sed '77777s/size=/siz=/' "$work/plain" >"$work/bad"
check_fails 2 "bad:77777: no 'size=...'" 'a broken line' replay "$work/bad"
head -c -5 "$work/plain" >"$work/cut"
check_fails 2 'cut:120012: the last line is cut off' 'a cut line' replay "$work/cut"

expect() {
	python3 - "$@" <<-'EOF'
		import json, sys
		report = json.load(open(sys.argv[1]))
		for want in sys.argv[2:]:
		    key, value = want.split('=')
		    assert str(report[key]) == value, (key, report[key], value)
		for key in 'ns_per_alloc', 'ns_per_free':
		    assert report[key] > 0, key
	EOF
}

for engine in cached tree; do
	for lcores in 1 2; do
		name="$engine, $lcores lcores"
		check "iperf3: $name" replay "$iperf" --engine $engine --lcores $lcores --json "$work/i.json" \
			--svg "$work/i.svg"
		check "iperf3: $name: figures" expect "$work/i.json" events=120000 allocs=59993 frees=59502 \
			unmatched=505 live_at_end=491 failed=0 violations=0 good=True
		check "fio: $name" replay "$fio" --engine $engine --lcores $lcores --json "$work/n.json" --repeat 2
		check "fio: $name: figures" expect "$work/n.json" events=155576 allocs=75118 frees=75117 \
			multi=2476 unmatched=0 failed=0 violations=0 good=True
	done
done

# The same calls with memory behind them: nothing is left, and few calls of the backend take many ranges.
mapped() {
	python3 - "$@" <<-'EOF'
		import json, sys
		report = json.load(open(sys.argv[1]))
		backend = report['backend']
		assert backend['backend_maps'] == backend['unmapped_ranges'] == int(sys.argv[2]) * report['repeat'], backend
		assert backend['unmaps_per_range'] <= float(sys.argv[3]), backend
		assert backend['unmaps_per_range'] <= backend['runs_per_range'] <= 5 * float(sys.argv[3]), backend
		assert backend['deferred_peak_bytes'] <= backend['max_bytes'], backend
		assert report['paced'] == (sys.argv[4] == 'paced'), report['paced']
	EOF
}
for engine in strict lazy; do
	check "iperf3: $engine" replay "$iperf" --engine $engine --json "$work/i.json"
	check "iperf3: $engine: figures" expect "$work/i.json" events=120000 allocs=59993 failed=0 violations=0 good=True
	check "fio: $engine" replay "$fio" --engine $engine --json "$work/n.json" --repeat 2
	check "fio: $engine: figures" expect "$work/n.json" allocs=75118 multi=2476 failed=0 violations=0 good=True
	[ $engine = strict ] && most=1 || most=0.1
	check "iperf3: $engine: calls of the backend" mapped "$work/i.json" 59993 "$most" no
	check "fio: $engine: calls of the backend" mapped "$work/n.json" 75118 "$most" no
done
xz -dc "$iperf" | sed -n 1,2000p >"$work/short"
check 'at the pace of the trace' replay "$work/short" --engine lazy --pace --json "$work/s.json"
paced() {
	python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); assert r["paced"] and r["seconds"]["min"] >= r["trace_seconds"] > 0, r' "$1"
}
check 'takes as long as the trace' paced "$work/s.json"

# Many more than may be deferred.
churned() {
	python3 - "$1" <<-'EOF'
		import json, sys
		report = json.load(open(sys.argv[1]))
		assert report['good'], report
		strict, lazy, region = (report['modes'][mode] for mode in ('strict', 'lazy', 'region'))
		assert strict['pairs'] == lazy['pairs'] == region['pairs'] == 20000 * len(report['lcores']), report
		assert strict['unmaps_per_range'] == 1 and region['backend_maps'] == region['backend_unmaps'] == 1, report
		assert lazy['backend_unmaps'] < lazy['unmapped_ranges'] == lazy['backend_maps'], lazy
		assert lazy['deferred_peak_bytes'] <= lazy['max_bytes'] == 4 << 20, lazy
		assert lazy['exposed_at_least_ns']['max'] <= lazy['exposed_at_most_ns']['max'], lazy
		assert 'exposed_at_most_ns' not in strict and 'unmap_ns' not in region, report
	EOF
}
for lcores in 1 2; do
	check "churn, $lcores lcores" churn --ops 20000 --lcores $lcores --max-bytes 4194304 --json "$work/c.json"
	check "churn, $lcores lcores: figures" churned "$work/c.json"
done
check 'churn for a second' churn --seconds 1 --mode lazy --depth 1
check 'churn of larger buffers' churn --ops 1000 --size 65536 --mode lazy,strict
check 'churn with hardly anything deferred' churn --ops 1000 --mode lazy --max-bytes 4096 --max-age-us 100

check 'plain text gives the same' replay "$work/plain" --json "$work/p.json"
# Twice what a huge page holds, too.
bounced() {
	python3 - "$1" <<-'EOF'
		import json, sys
		report = json.load(open(sys.argv[1]))
		assert report['good'] and report['wrong'] == report['left'] == 0, report
		assert list(report['sizes']) == ['1', '1500', '65536', '4194304'], report
		ways = [size[way] for size in report['sizes'].values() for way in size if way.endswith('_ns')]
		assert len(ways) == 28 and all(0 < way['min'] <= way['median'] <= way['max'] for way in ways), ways
		assert set(report['scaling']) == {f'{b} bytes, {n} lcores' for b in (64, 1500, 65536) for n in (1, 2)}, report
	EOF
}
check 'bounce' bounce --rounds 2 --sizes 1,1500,65536,4194304 --json "$work/b.json" --svg "$work/b.svg"
check 'bounce: figures' bounced "$work/b.json"
check 'bounce: the picture is XML' python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$work/b.svg"

check 'plain text: figures' expect "$work/p.json" events=120000 allocs=59993 frees=59502 violations=0
check 'the picture is XML' python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$work/i.svg"
check 'the picture is small' test "$(stat -c %s "$work/i.svg")" -lt 1000000

check 'the sound twin of the broken allocator passes' on_broken none
check_fails 1 'overlaps the live one of line' 'overlaps are found' on_broken overlap
check_fails 1 'is not of this domain' 'addresses outside are found' on_broken range
check_fails 1 'is not of this domain' 'addresses between granules are found' on_broken align
check_fails 1 'leaks' 'leaks are found' on_broken leak
check_fails 1 'No space left on device' 'failed allocations are found' on_broken nospace
check_fails 1 'No such file or directory' 'failed frees are found' on_broken free
check_fails 1 'verify +FAILED' 'a failed verification is found' on_broken verify
check_fails 1 'accounting' 'wrong statistics are found' on_broken count
check_fails 1 'given up: no call came to an end' 'a call that hangs ends the run' on_broken hang

check 'churn: the sound twin passes' churn_on_broken none
check_fails 1 'strict: [1-9][0-9]* overlaps' 'churn: overlaps are found' churn_on_broken overlap
check_fails 1 ' [1-9] astray' 'churn: addresses outside are found' churn_on_broken range
check_fails 1 ' [1-9] astray' 'churn: addresses that lead elsewhere are found' churn_on_broken astray
check_fails 1 ' [1-9][0-9]* leaks' 'churn: leaks are found' churn_on_broken leak
check_fails 1 'No space left on device' 'churn: failed maps are found' churn_on_broken nospace
check_fails 1 'No such file or directory' 'churn: failed unmaps are found' churn_on_broken free
check_fails 1 'others failed' 'churn: a flush that fails is found' churn_on_broken flush
check_fails 1 'verify +FAILED' 'churn: a failed verification is found' churn_on_broken verify
check_fails 1 ' 1 accounting' 'churn: ranges that nobody unmapped are found' churn_on_broken unmapped
check_fails 1 ' 1 accounting' 'churn: too much deferred is found' churn_on_broken peak
check_fails 1 'strict: [0-9]+ pairs of calls' 'churn: a call that hangs ends the run' churn_on_broken hang
check 'bounce: the sound twin passes' bounce_on_broken none
check_fails 1 'wrong +2' 'bounce: what was not copied in is found' bounce_on_broken stale
check_fails 1 'wrong +2' 'bounce: what was not copied out is found' bounce_on_broken lost
check_fails 1 'left +1' 'bounce: a pool that stays busy is found' bounce_on_broken busy
check_fails 1 'a call failed' 'bounce: failed maps are found' bounce_on_broken nospace
check_fails 2 'cannot add the region' 'bounce: a region that cannot be added' bounce_on_broken region
check_fails 2 'cannot create the domain: ' 'a domain that cannot be made' on_broken create

done_testing
