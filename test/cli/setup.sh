#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# setup.sh: the set-up scripts in trouble, on a machine that is made up: they explain
# themselves, and what they take they give back. Run by test/run.sh.
# shellcheck disable=SC2016 # code in single quotes is for the shell under test
set -euo pipefail

SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/lib/tap.sh
. "$SOURCE/test/lib/tap.sh"

WORK=$(mktemp -d)
trap 'rm -rf "$WORK" "$TAP_LOG"' EXIT

# A made-up /sys with one NUMA node: the files are plain, so what is written is what is
# read; huge_write of the scripts is replaced where the kernel would give less.
make_sys() {
	local node=$WORK/sys/devices/system/node/node0 pages
	rm -rf "$WORK/sys" "$WORK/state"
	pages=$node/hugepages/hugepages-2048kB
	mkdir -p "$pages" "$WORK/sys/kernel/mm/hugepages"
	ln -s "$pages" "$WORK/sys/kernel/mm/hugepages/hugepages-2048kB"
	echo 0-1 >"$node/cpulist"
	echo "$1" >"$pages/nr_hugepages"
	echo "$2" >"$pages/free_hugepages"
}

pages_now() { cat "$WORK/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"; }

# with_setup CODE: in a shell of its own, with the made-up machine and no real mount.
with_setup() {
	HUGE_SYS=$WORK/sys HUGE_STATE=$WORK/state OS_RELEASE=${OS_RELEASE:-/etc/os-release} \
		bash -c "set -euo pipefail; . '$SOURCE/app/setup/machine.sh'; huge_mount() { :; }; $1"
}

scripts() { find "$SOURCE" \( -name 'build*' -o -name .git \) -prune -o -type f \( -name '*.sh' -o -path '*/.ci/run' \) -print; }

script_checks() {
	local script name
	while read -r script; do
		name=${script#"$SOURCE/"}
		check "$name: bash accepts it" bash -n "$script"
		if command -v shellcheck >/dev/null; then
			check "$name: shellcheck finds nothing" sh -c "cd '$SOURCE' && shellcheck -x -S info '$script'"
		else
			skip "$name: shellcheck finds nothing" "shellcheck is not installed"
		fi
	done < <(scripts)
	for name in app/quickstart.sh test/run.sh; do
		check "$name --help" "$SOURCE/$name" --help
		check_fails 1 'unknown option: --frobnicate' "$name names an unknown option" \
			"$SOURCE/$name" --frobnicate
	done
}

# Copied, since the tree may lie where only root can look.
as_nobody() {
	cp -r "$SOURCE/app" "$SOURCE/test" "$WORK/" 2>/dev/null
	chmod -R a+rX "$WORK"
	setpriv --reuid 65534 --regid 65534 --clear-groups "$WORK/$1"
}

explanations() {
	check_fails 1 'sudo app/quickstart.sh' "quickstart.sh without root says what to do" as_nobody app/quickstart.sh
	check_fails 1 'sudo test/run.sh' "run.sh without root says what to do" as_nobody test/run.sh

	printf 'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04"\n' >"$WORK/os-release"
	OS_RELEASE=$WORK/os-release check_fails 1 'Ubuntu 24.04.*Debian 12' "another distribution is named" \
		with_setup 'install_packages libdpdk-dev'
	OS_RELEASE=$WORK/os-release check_fails 1 'libdpdk-dev' "and what to install there" \
		with_setup 'install_packages libdpdk-dev'
	check_fails 1 'no-such-tool-iovad' "without installing, a missing tool is named" \
		with_setup 'need_tools no-such-tool-iovad'
	check_fails 1 'too little disk space' "too little disk is said" with_setup 'need_disk / 99999999 this'
	check_fails 1 'too little memory' "too little memory is said" with_setup 'need_memory 99999999 this'

	# No network: apt-get's own failure, then what to do.
	check_fails 1 'check the network' "packages that cannot be had are explained" with_setup '
		package_installed() { false; }
		need_disk() { :; }
		apt_get() { echo "E: Failed to fetch"; return 100; }
		install_packages libdpdk-dev'
	check_fails 1 'installing packages.*libdpdk-dev' "and are named before" with_setup '
		package_installed() { false; }
		need_disk() { :; }
		apt_get() { return 100; }
		install_packages libdpdk-dev'
}

# keeps_pages BEFORE FREE CODE: after it, the pages are as before.
keeps_pages() {
	local before=$1 free=$2 code=$3
	make_sys "$before" "$free"
	with_setup "$code" || true
	echo "pages now: $(pages_now), before: $before"
	[ "$(pages_now)" = "$before" ] && [ -z "$(find "$WORK/state" -mindepth 1 -type d)" ]
}

# takes_pages BEFORE FREE AFTER [CODE BEFORE IT]
takes_pages() {
	make_sys "$1" "$2"
	with_setup "${4:-:}; huge_take 64; [ \"\$(huge_total)\" = $3 ]"
}

huge_pages() {
	check "32 pages are taken where there are none" takes_pages 0 0 32
	check "32 more where there are some: they may be meant for others" takes_pages 100 40 132
	check "those that are free where no more can be had" takes_pages 100 40 100 'huge_write() { :; }'
	check "at the end the pages are as before" keeps_pages 7 7 'huge_take 64'
	check "also where the script fails" keeps_pages 7 7 'huge_take 64; false'
	check "also where it is terminated" keeps_pages 7 7 'huge_take 64; kill -TERM $$; sleep 5'
	check "also where a command it waits for is interrupted" keeps_pages 7 7 \
		'huge_take 64; (sleep 1; kill -TERM $$) & guarded sleep 30'

	make_sys 0 0
	check_fails 1 'no huge pages to be had' "no pages to be had is explained" with_setup \
		'huge_write() { :; }; huge_take 64'
	check_fails 1 '--no-huge' "with a way out" with_setup 'huge_write() { :; }; huge_take 64'
	check "a part that was given goes back" keeps_pages 3 0 '
		huge_write() { echo $(($2 > 20 ? 20 : $2)) >"$1/nr_hugepages"; }; huge_take 64'

	make_sys 0 0
	check_fails 1 'cannot be mounted' "a mount that is refused is explained" with_setup \
		'huge_mount() { echo "mount: permission denied"; return 32; }; huge_take 64'
	check "and the pages are given back" test "$(pages_now)" = 0
	rm -rf "$WORK/sys/kernel/mm/hugepages"
	check_fails 1 'this kernel has no huge pages' "a kernel without huge pages is explained" with_setup 'huge_take 64'
}

killed_run_is_cleaned_up() {
	make_sys 5 5
	with_setup 'huge_take 64; kill -KILL $$' || true
	[ "$(pages_now)" = 37 ] || { echo "the killed run took nothing: $(pages_now)"; return 1; }
	echo 37 >"$WORK/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
	with_setup 'huge_take 64'
	echo "pages now: $(pages_now)"
	[ "$(pages_now)" = 5 ]
}

two_runs_keep_theirs() {
	make_sys 5 0
	with_setup 'huge_take 64; sleep 1' &
	sleep 0.5
	with_setup 'huge_take 64; [ "$(huge_total)" = 69 ] && sleep 1'
	wait $!
	echo "pages now: $(pages_now)"
	[ "$(pages_now)" = 5 ]
}

script_checks
explanations
huge_pages
check "the next run gives back what a killed one took" killed_run_is_cleaned_up
check "two runs at a time each give back their own" two_runs_keep_theirs
done_testing
