#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# iovad-perf as its user meets it: arguments, errors, exit status, output files, and both traces
# through both engines. Prints TAP.
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
on_broken() { IOVAD_TEST_FAULT=$1 "$broken" "${eal[@]}" -- replay "$iperf"; }

check 'help' "$perf" --help
check 'help after --' "$perf" -- --help
check 'help of replay' "$perf" -- replay --help
check_fails 2 'no sub-command: it stands after' 'no arguments' "$perf"
check_fails 2 'no sub-command after --' 'nothing after --' "$perf" --
check_fails 2 "no sub-command 'frob'" 'unknown sub-command' "$perf" -- frob
check_fails 2 'replay needs the name of a trace' 'no trace' replay
check_fails 2 "does not know '--frob'" 'unknown option' replay "$iperf" --frob
check_fails 2 "from 1 to 1024, not '0'" 'no lcores' replay "$iperf" --lcores 0
check_fails 2 '^iovad-perf: --lcores 3, but EAL has 2' 'more lcores than EAL has' replay "$iperf" --lcores 3
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
check 'plain text gives the same' replay "$work/plain" --json "$work/p.json"
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
check_fails 2 'cannot create the domain: ' 'a domain that cannot be made' on_broken create

done_testing
