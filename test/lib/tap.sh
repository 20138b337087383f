# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks that print TAP (the Test Anything Protocol). Source it, call check and
# skip, and done_testing at the end.

TAP_COUNT=0
TAP_LOG=$(mktemp)
trap 'rm -f "$TAP_LOG"' EXIT

pass() { TAP_COUNT=$((TAP_COUNT + 1)); printf 'ok %d - %s\n' "$TAP_COUNT" "$1"; }

# fail NAME [FILE]: the end of FILE says why.
fail() {
	TAP_COUNT=$((TAP_COUNT + 1))
	printf 'not ok %d - %s\n' "$TAP_COUNT" "$1"
	[ -z "${2:-}" ] || tail -n 25 "$2" | sed 's/^/#   /'
}

skip() { TAP_COUNT=$((TAP_COUNT + 1)); printf 'ok %d - %s # SKIP %s\n' "$TAP_COUNT" "$1" "$2"; }

# check NAME COMMAND...: passes where the command succeeds; its output is shown if not.
check() {
	local name=$1
	shift
	if "$@" >"$TAP_LOG" 2>&1 </dev/null; then pass "$name"; else fail "$name" "$TAP_LOG"; fi
}

# check_fails STATUS PATTERN NAME COMMAND...: passes where the command ends with exactly
# that status and its output has a line that matches.
check_fails() {
	local status=$1 pattern=$2 name=$3 got=0
	shift 3
	"$@" >"$TAP_LOG" 2>&1 </dev/null || got=$?
	if [ "$got" -ne "$status" ]; then
		echo "status $got instead of $status" >>"$TAP_LOG"
		fail "$name" "$TAP_LOG"
	elif ! grep -qE -- "$pattern" "$TAP_LOG"; then
		echo "no line of the output matches: $pattern" >>"$TAP_LOG"
		fail "$name" "$TAP_LOG"
	else
		pass "$name"
	fi
}

done_testing() { printf '1..%d\n' "$TAP_COUNT"; }
