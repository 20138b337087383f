#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# iovad-perf soak, for so many steps: sound without and with faults, and finds each promise that is broken. With huge
# pages (IOVAD_TEST_EAL_ARGS) also with processes that are killed. Prints TAP.
#   soak_test.sh IOVAD_PERF IOVAD_PERF_WITH_SPOILT_CALLS
set -u

perf=$1
spoilt=$2
here=$(dirname "$0")
# shellcheck source=test/lib/tap.sh
. "$here/../lib/tap.sh"
work=$(mktemp -d)
trap 'rm -rf "$work" "$TAP_LOG"' EXIT

core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
eal=(--lcores "0@$core,1@$core" --no-pci --no-telemetry)
alone=(--no-huge -m 512 --no-shconf)
soak() { "$perf" "${eal[@]}" "${alone[@]}" -- soak --interval 0.3 "$@"; }
on_spoilt() { IOVAD_TEST_FAULT=$1 "$spoilt" "${eal[@]}" "${alone[@]}" -- soak --ops 20000 --fault-every 0; }
soaked() {
	python3 - "$@" <<-'EOF'
		import json, sys
		report = json.load(open(sys.argv[1]))
		assert report['good'] and report['violations'] == report['left'] == 0 and report['checks'] >= 2, report
		for condition in sys.argv[2:]:
		    assert eval(condition, {}, report), (condition, report)
	EOF
}

check 'help' "$perf" -- soak --help
check_fails 2 "soak does not know 'stray'" 'a word after soak' soak stray
check_fails 2 'cannot write' 'a full disk' soak --ops 1 --json /dev/full
check_fails 2 'need EAL.s memory in huge pages' 'visitors without shared memory' soak --visitors 1

check 'without faults' soak --ops 30000 --fault-every 0 --json "$work/s.json"
check 'without faults: figures' soaked "$work/s.json" 'steps == 90000' 'faults == 0' 'visits == 0' 'lost == 0'
check 'with faults' soak --ops 30000 --fault-every 50 --json "$work/f.json"
check 'with faults: figures' soaked "$work/f.json" 'steps == 90000' 'faults > 20' 'refused >= 20'
check 'of threads alone, for a time' soak --seconds 1.2 --threads 3 --json "$work/t.json"
check 'of threads alone: figures' soaked "$work/t.json" 'checks >= 3' 'seconds >= 1.2'

interrupted() {
	local pid lines=0
	"$perf" "${eal[@]}" "${alone[@]}" -- soak --minutes 5 --interval 0.1 --json "$work/i.json" >"$work/out" 2>&1 &
	pid=$!
	# In the midst of it, once it has said something.
	until [ "$lines" -ge 3 ]; do
		kill -0 "$pid" 2>/dev/null || return 1
		lines=$(grep -c 'k/s' "$work/out")
		sleep 0.05
	done
	kill -INT "$pid"
	wait "$pid"
}
check 'an interrupt ends it in order' interrupted
check 'an interrupt: figures' soaked "$work/i.json" 'interrupted' 'seconds < 290'

check 'the calls are sound unless told otherwise' on_spoilt none
check_fails 1 'owned twice' 'addresses that are owned twice are found' on_spoilt overlap
check_fails 1 'beyond the limit' 'addresses beyond the limit are found' on_spoilt limit
check_fails 1 'live ranges: ' 'leaks are found' on_spoilt leak
check_fails 1 'giving back: No such file' 'failed frees are found' on_spoilt free
check_fails 1 'devices reach what was unmapped' 'mappings that stay are found' on_spoilt reachable
check_fails 1 'the caller gets other data' 'bounces that lose data are found' on_spoilt lost
check_fails 1 'did not verify' 'a failed verification is found' on_spoilt verify

if [ -n "${IOVAD_TEST_EAL_ARGS:-}" ]; then
	visited() {
		# shellcheck disable=SC2086  # words
		"$perf" "${eal[@]}" ${IOVAD_TEST_EAL_ARGS} --file-prefix "iovad-soak-$$" -m 128 -- \
			soak --seconds 8 --visitors 2 --kill-every 60 --fault-every 500 --interval 1 --json "$work/v.json"
	}
	check 'with processes that are killed' visited
	check 'with processes that are killed: figures' soaked "$work/v.json" 'visits > 2' 'kills > 2' 'lost <= 40 * kills'
else
	skip 'with processes that are killed' 'IOVAD_TEST_EAL_ARGS is not set: without huge pages processes share no memory'
fi

done_testing
