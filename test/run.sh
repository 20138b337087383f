#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Every test of iovad, from a fresh Debian 12: see usage().
set -euo pipefail

# shellcheck source=app/setup/machine.sh
. "$(dirname "${BASH_SOURCE[0]}")/../app/setup/machine.sh"
# shellcheck source=test/vm/setup.sh
. "$REPO/test/vm/setup.sh"

usage() {
	cat <<'USAGE'
Usage: test/run.sh [--no-install] [--no-huge] [--only SECTION[,SECTION...]]

Builds iovad and runs its tests. The last line is "N passed, N failed", with
", N skipped" where some were; the exit status is 0 where none failed and one passed.

  release  gcc, everything: unit, EAL, iovad-perf and installation tests
  asan     clang, everything: unit and EAL tests under AddressSanitizer and UBSan; fuzzing, bounded
  tsan     gcc, unit and EAL tests under ThreadSanitizer, but for long ones of one thread
  core     core and backends where DPDK is absent (-Ddpdk=disabled); gcc's AddressSanitizer
  scripts  app/quickstart.sh from end to end, and what the scripts do in trouble
  packages the Debian packages: built, installed into a minimal system, used, purged
  trixie   with DPDK 24.11 and gcc 14, in a chroot of Debian 13: what depends on DPDK
  vm       in an emulated machine with an IOMMU (test/vm/README.md)

  --no-install  install no packages; stop where a tool is missing
  --no-huge     reserve no huge pages: tests with several processes are skipped

As root. On the machine it changes: packages that are missing are installed and
stay; huge pages are reserved and a hugetlbfs is mounted until the end. All else
lies in build*/; the logs of each section in build-logs/.
USAGE
}

SECTIONS=(release asan tsan core scripts packages trixie vm)
HUGE_MIB=1024 # two processes of EAL, domains of 1e6 ranges
INSTALL=1 HUGE=1
OPTIONS=() # of this run, for quickstart.sh
PASSED=0 FAILED=0 SKIPPED=0
SUMMARY=()
FAILURES=

# Every option is given, since the folder may be there with others.
FULL=(-Ddpdk=enabled -Dtests=true -Dapps=enabled -Dexamples=enabled -Dwerror=true)

parse_arguments() {
	local name
	while [ $# -gt 0 ]; do
		case $1 in
		--no-install) INSTALL= ;;
		--no-huge) HUGE= ;;
		--only)
			[ $# -ge 2 ] || die "--only needs the name of a section." "Sections: ${SECTIONS[*]}"
			local known=" ${SECTIONS[*]} "
			IFS=, read -ra SECTIONS <<<"$2"
			for name in "${SECTIONS[@]}"; do
				[[ $known == *" $name "* ]] || die "no such section: $name" "Sections:$known"
			done
			shift
			;;
		-h | --help) usage; exit 0 ;;
		*) usage >&2; die "unknown option: $1" ;;
		esac
		shift
	done
}

# count NAME COUNT.PY-ARGUMENTS...: add to the sums.
count() {
	local numbers passed failed skipped
	numbers=$(python3 "$REPO/test/lib/count.py" "${@:2}" 2>>"$FAILURES") || {
		say "FAILED $1: its results cannot be read" >>"$FAILURES"
		numbers="0 1 0"
	}
	read -r passed failed skipped <<<"$numbers"
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + skipped))
	COUNTED=$((COUNTED + passed + failed + skipped))
}

count_failure() {
	say "FAILED $1: $2" >>"$FAILURES"
	FAILED=$((FAILED + 1)) COUNTED=$((COUNTED + 1))
}

# build SECTION DIR MESON-OPTIONS...: a build that fails is a test that failed.
build() {
	local section=$1 dir=$2
	shift 2
	say "building $dir"
	if ! configure "$dir" "$@"; then
		count_failure "$section" "meson could not configure $dir"
		return 1
	fi
	if ! compile "$dir"; then
		count_failure "$section" "the build of $dir failed"
		return 1
	fi
}

# meson_tests SECTION DIR ARGUMENTS...: results of before must not be counted again.
meson_tests() {
	local section=$1 dir=$2
	shift 2
	rm -f "$dir"/*.xml "$dir"/meson-logs/testlog.*
	guarded meson test -C "$dir" --no-rebuild --print-errorlogs "$@" || true
	count "$section" "$dir"
}

# tap SCRIPT ARGUMENTS...
tap() {
	local name
	name=$(basename "$1" .sh)
	tap_run "$name" "$@"
	tap_count "$name"
}

# tap_run NAME SCRIPT ARGUMENTS...
tap_run() {
	local name=$1 status=0
	shift
	guarded bash "$@" >"$LOGS/$name.log" || status=$?
	echo "$status" >"$LOGS/$name.status"
}

tap_count() {
	cat "$LOGS/$1.log"
	count "$1" --tap "$LOGS/$1.log" "$(cat "$LOGS/$1.status")"
}

# Sanitizers of gcc 12 know only where 28 bits of address randomisation put things.
sanitizer_wrapper() {
	local bits
	bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
	if [ "$bits" -gt 28 ] && setarch "$(uname -m)" -R true 2>/dev/null; then
		echo "--wrap=setarch $(uname -m) -R"
	fi
}

# Without what runs through DPDK's drivers, which are not instrumented.
sanitized() {
	local section=$1 dir=$2 wrapper
	shift 2
	wrapper=$(sanitizer_wrapper)
	build "$section" "$dir" "${FULL[@]}" -Doptimization=1 "$@" || return 0
	meson_tests "$section" "$dir" --timeout-multiplier 6 ${wrapper:+"$wrapper"} \
		--no-suite install --no-suite cli --no-suite examples
}

section_release() {
	build release "$REPO/build" "${FULL[@]}" -Dbenchmarks=enabled -Db_sanitize=none || return 0
	meson_tests release "$REPO/build"
}

# Where EAL puts its memory first lies ASan's shadow. Left to find another place, it takes
# one that a second process may have used otherwise.
section_asan() {
	local arguments=${IOVAD_TEST_EAL_ARGS:-}
	[ -z "$arguments" ] || export IOVAD_TEST_EAL_ARGS="$arguments --base-virtaddr=0x200000000000"
	CC=clang CXX=clang++ sanitized asan "$REPO/build-clang" -Db_sanitize=address,undefined -Dbenchmarks=enabled
	[ -z "$arguments" ] || export IOVAD_TEST_EAL_ARGS=$arguments
}

# Without the programs: oneTBB is not instrumented either.
section_tsan() {
	sanitized tsan "$REPO/build-tsan" -Db_sanitize=thread -Dapps=disabled -Dbenchmarks=disabled -Dexamples=disabled
}

section_core() {
	sanitized core "$REPO/build-core" -Db_sanitize=address -Ddpdk=disabled -Dapps=disabled \
		-Dbenchmarks=enabled -Dexamples=disabled
}

section_scripts() {
	tap "$REPO/test/cli/setup.sh"
	tap "$REPO/test/cli/quickstart.sh" "${OPTIONS[@]}"
}

section_packages() { tap "$REPO/test/packages/packages.sh"; }

# Counted are the checks of the script, and the tests in the chroot where they could be built.
section_trixie() {
	tap "$REPO/test/dpdk/trixie.sh"
	[ ! -e "$REPO/build-trixie/dpdk-24.11/meson-logs/testlog.json" ] || count trixie "$REPO/build-trixie/dpdk-24.11"
}

# The long ones first.
VM_TESTS=(proof_restart test_domains proof_lazy proof_testpmd test_vm bounce l2fwd record churn proof_control documents devices)

vm_test() {
	local arguments=("$REPO/test/vm/$1.sh" "$REPO/build")
	# shellcheck disable=SC2016 # for the machine
	case $1 in
	test_vm) arguments=("${arguments[0]}") ;;
	record) arguments[1]=$REPO/build/app/perf/iovad-perf ;;
	documents) arguments[0]=$REPO/test/docs/vm.sh ;;
	devices) arguments=("$REPO/test/vm/run.sh" -- bash -c \
		'exec bash "$IOVAD_VM_TREE/test/mempool/devices.sh" "$IOVAD_VM_TREE/build/lib/mempool/librte_mempool_iovad.so"') ;;
	esac
	say "running $1"
	tap_run "$1" "${arguments[@]}"
}

# vm_lane FIRST STEP: those tests, one after the other.
vm_lane() {
	local i
	trap 'end_by_signal TERM 143' TERM
	for ((i = $1; i < ${#VM_TESTS[@]}; i += $2)); do vm_test "${VM_TESTS[i]}"; done
}

# QEMU without KVM keeps one core busy: where there are two, and memory, two machines.
vm_lanes() {
	local i lanes=1 lane=()
	if [ "$(nproc)" -ge 2 ] && [ "$(memory_available_mib)" -ge 5000 ]; then lanes=2; fi
	for ((i = 0; i < lanes; ++i)); do vm_lane "$i" "$lanes" & lane+=($!); done
	trap 'kill -TERM "${lane[@]}"; wait; exit 143' TERM
	wait
}

# With the build of "release"; where there is none, it is made.
section_vm() {
	local name
	build vm "$REPO/build" "${FULL[@]}" -Dbenchmarks=enabled -Db_sanitize=none || return 0
	for name in "${VM_TESTS[@]}"; do
		: >"$LOGS/$name.log"
		echo 1 >"$LOGS/$name.status"
	done
	guarded vm_lanes
	for name in "${VM_TESTS[@]}"; do tap_count "$name"; done
}

run_section() {
	local passed=$PASSED failed=$FAILED skipped=$SKIPPED start=$SECONDS
	COUNTED=0
	step "$1"
	"section_$1"
	[ "$COUNTED" -gt 0 ] || count_failure "$1" "it ran no test"
	SUMMARY+=("$(printf '%-10s %7d %7d %7d   %s' "$1" $((PASSED - passed)) \
		$((FAILED - failed)) $((SKIPPED - skipped)) "$(duration $((SECONDS - start)))")")
}

sanitizer_options() {
	local supp=$REPO/test/lib/suppressions
	export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_init_order=1"
	export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:suppressions=$supp/ubsan.txt"
	export LSAN_OPTIONS="suppressions=$supp/lsan.txt:print_suppressions=0"
	export TSAN_OPTIONS="suppressions=$supp/tsan.txt:second_deadlock_stack=1"
}

set_up() {
	step "what is needed"
	if [ -n "$INSTALL" ]; then
		install_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
	else
		need_tools gcc g++ clang meson ninja pkg-config python3 xz nm
		OPTIONS+=(--no-install)
	fi
	case " ${SECTIONS[*]} " in
	*" vm "*) if [ -n "$INSTALL" ]; then vm_setup; else vm_pieces; fi ;;
	esac
	need_disk "$REPO" 6500 "the builds"
	need_memory $((HUGE_MIB + 2048)) "the builds and the tests"
	mkdir -p "$LOGS"
	FAILURES=$LOGS/failures.txt
	: >"$FAILURES"
	on_exit give_folders_to_caller

	step "huge pages"
	if [ -n "$HUGE" ]; then
		huge_take "$HUGE_MIB"
		export IOVAD_TEST_EAL_ARGS="--huge-dir=$HUGE_DIR --no-pci"
	else
		say "None, as asked (--no-huge)."
		OPTIONS+=(--no-huge)
	fi
	sanitizer_options
}

closing_line() {
	local line="$PASSED passed, $FAILED failed"
	[ "$SKIPPED" -eq 0 ] || line+=", $SKIPPED skipped"
	printf '%s\n' "$line"
}

main() {
	local section
	parse_arguments "$@"
	need_root "test/run.sh"
	set_up
	for section in "${SECTIONS[@]}"; do
		run_section "$section"
	done

	step "summary, $(duration "$SECONDS")"
	[ -z "$HUGE" ] || huge_give_back
	printf '%-10s %7s %7s %7s\n' section passed failed skipped
	printf '%s\n' "${SUMMARY[@]}"
	cat "$FAILURES"
	closing_line
	[ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
}

main "$@"
