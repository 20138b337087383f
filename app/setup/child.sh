# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Long commands, and what is cleaned up however the script ends.
#
# bash runs a trap only once its foreground command is over, which for a build is
# minutes after the Ctrl-C. So long commands run in the background and are waited
# for; a signal ends them and then the script.

CHILD=
CLEANUPS=()

# on_exit FUNCTION: called when the script ends, the last one given first.
on_exit() { CLEANUPS=("$1" "${CLEANUPS[@]}"); }

run_cleanups() {
	local status=$? cleanup
	trap - EXIT
	trap '' INT TERM HUP # giving back must not be cut short
	for cleanup in "${CLEANUPS[@]}"; do
		"$cleanup" || true
	done
	exit "$status"
}

end_by_signal() {
	printf '\nSIG%s: stopping.\n' "$1" >&2
	trap '' INT TERM HUP
	if [ -n "$CHILD" ]; then
		kill -TERM "$CHILD" 2>/dev/null || true
		wait "$CHILD" 2>/dev/null || true
	fi
	exit "$2"
}

trap run_cleanups EXIT
trap 'end_by_signal INT 130' INT
trap 'end_by_signal TERM 143' TERM
trap 'end_by_signal HUP 129' HUP

# guarded COMMAND...: run it, with an empty stdin, and return its status.
guarded() {
	local status=0
	"$@" </dev/null &
	CHILD=$!
	wait "$CHILD" || status=$?
	CHILD=
	return "$status"
}

# logged NAME COMMAND...: on a terminal its output is seen; elsewhere it goes to
# LOGS/NAME.log, of which the end is shown where the command fails.
logged() {
	local log=$LOGS/$1.log status=0
	shift
	mkdir -p "$LOGS"
	if [ -t 1 ]; then
		guarded "$@"
		return
	fi
	guarded "$@" >"$log" 2>&1 || status=$?
	[ "$status" -eq 0 ] || { tail -n 60 "$log"; say "(all of it: $log)"; }
	return "$status"
}
