# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# For tests of plugins under an unmodified testpmd. Source it after tap.sh; set WORK, a folder, and LOG, a file.

# The folder of find_place(), to be removed at the end.
PLACE=
# The file that the testpmd which is fed writes to.
SAYS=

# EAL loads nothing from where all may write, as in /tmp.
all_may_write() {
	local dir
	dir=$(realpath "$1")
	while :; do
		[ -z "$(find "$dir" -maxdepth 0 -perm -o+w)" ] || return 0
		[ "$dir" != / ] || return 1
		dir=$(dirname "$dir")
	done
}

# find_place PLUGIN: whether EAL loads plugins from where this one was built, or, where it does not, from
# PLACE, a folder made for that with libiovad in it.
find_place() {
	local dir
	all_may_write "$(dirname "$1")" || return 0
	for dir in "${HOME:-/root}" /var/lib /opt; do
		if [ -w "$dir" ] && ! all_may_write "$dir"; then
			PLACE=$(mktemp -d "$dir/iovad-test-XXXXXX")
			cp "$(dirname "$1")/../libiovad.so.0" "$PLACE/"
			return 0
		fi
	done
	return 1
}

# placed FILE FOLDER: the file that EAL loads: this one, or its copy in a folder of PLACE.
placed() {
	if [ -z "$PLACE" ]; then
		echo "$1"
	else
		mkdir -p "$PLACE/$2"
		cp "$1" "$PLACE/$2/"
		echo "$PLACE/$2/$(basename "$1")"
	fi
}

# feed COMMANDS: when the testpmd that writes to SAYS is ready; before, it drops them.
feed() {
	for _ in $(seq 300); do
		! grep -qE 'testpmd>|exiting with code|Cannot|PANIC' "$SAYS" || break
		sleep 0.1
	done
	echo -e "$1"
}

# beside COMMAND...: while a testpmd with the options in PRIMARY waits for commands. Its output is in
# SAYS, the command's in LOG. 99: testpmd did not end well.
beside() {
	local pid status=0 end=0
	rm -f "$WORK/in"
	mkfifo "$WORK/in"
	SAYS=$WORK/primary
	: >"$SAYS"
	timeout -s KILL 90 stdbuf -o0 dpdk-testpmd "${PRIMARY[@]}" <"$WORK/in" >"$SAYS" 2>&1 &
	pid=$!
	exec 9>"$WORK/in"
	feed "" >&9
	"$@" >"$LOG" 2>&1 || status=$?
	echo quit >&9
	exec 9>&-
	wait "$pid" || end=$?
	tail -n 20 "$LOG"
	[ "$end" -eq 0 ] || echo "testpmd ended with $end"
	[ "$end" -eq 0 ] || return 99
	return $status
}
