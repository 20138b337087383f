# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What app/quickstart.sh and test/run.sh share: what the machine must have, what
# is changed on it, and how it is put back. Source this file; it brings the others.

SETUP_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$SETUP_DIR/../.." && pwd)
LOGS=$REPO/build-logs # what commands print that is of interest only where they fail

# shellcheck source=app/setup/say.sh
. "$SETUP_DIR/say.sh"
# shellcheck source=app/setup/child.sh
. "$SETUP_DIR/child.sh"
# shellcheck source=app/setup/packages.sh
. "$SETUP_DIR/packages.sh"
# shellcheck source=app/setup/hugepages.sh
. "$SETUP_DIR/hugepages.sh"

need_root() {
	[ "$(id -u)" -eq 0 ] || die "this needs root: it installs packages and reserves huge pages." \
		"Run: sudo $1" \
		"Without root: build with meson yourself (doc/building.md) and give EAL --no-huge."
}

# need_disk DIR MIB WHAT
need_disk() {
	local free
	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$2" ] || die "too little disk space in $1 for $3: $free MiB are free, $2 are needed." \
		"Free some (builds of before: rm -r $REPO/build*) and run this again."
}

memory_available_mib() { awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo; }

# need_memory MIB WHAT
need_memory() {
	local free
	free=$(memory_available_mib)
	[ "$free" -ge "$1" ] || die "too little memory for $2: $free MiB are available, $1 are needed." \
		"Close programs, or give the machine more memory, and run this again."
}

# Compilers at a time: one a core, and about 1 GiB for each.
build_jobs() {
	local cores by_memory jobs
	cores=$(nproc)
	by_memory=$(($(memory_available_mib) / 1024))
	jobs=$((cores < by_memory ? cores : by_memory))
	echo $((jobs > 1 ? jobs : 1))
}

# configure DIR [MESON ARGUMENTS...]: a new folder, or the options of one that exists.
# A folder that meson cannot use (copied, of another version) is made anew.
configure() {
	local dir=$1
	shift
	if [ -f "$dir/build.ninja" ]; then
		if grep -qs "\"source\": \"$REPO\"" "$dir/meson-info/meson-info.json"; then
			[ $# -gt 0 ] || return 0
			guarded meson configure "$dir" "$@" >/dev/null 2>&1 && return
		fi
		say "$dir cannot be used any more; making it anew."
	fi
	rm -rf "$dir"
	logged "${dir##*/}-setup" meson setup "$dir" "$REPO" "$@"
}

compile() {
	local dir=$1
	shift
	logged "${dir##*/}-ninja" ninja -C "$dir" -j "$(build_jobs)" "$@"
}

# Under sudo the build folders belong to whoever called it, as if built without.
give_folders_to_caller() {
	[ -n "${SUDO_UID:-}" ] || return 0
	chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$REPO"/build* 2>/dev/null || true
}
