# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# Huge pages for EAL, and back to what was found.
#
# What this run changes is a difference, not a value: it adds pages to each NUMA
# node and takes away as many, so that two runs at a time, or an administrator
# beside it, keep theirs. The difference is written down in HUGE_STATE before it is
# made; where a run was killed, the next one gives its pages back.
# Huge page files and EAL's runtime files lie in a folder (and a hugetlbfs) of the
# run's own and go with it.

HUGE_STATE=${HUGE_STATE:-/run/iovad-setup}
HUGE_SYS=${HUGE_SYS:-/sys}
HUGE_RUN=
HUGE_DIR=          # where EAL makes its files: --huge-dir

huge_size_kib() {
	if [ -d "$HUGE_SYS/kernel/mm/hugepages/hugepages-2048kB" ]; then
		echo 2048
	else
		awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo
	fi
}

# The folder with nr_hugepages of each node that has memory and cores.
huge_nodes() {
	local node size found=
	size=$(huge_size_kib)
	for node in "$HUGE_SYS"/devices/system/node/node[0-9]*; do
		[ -e "$node/hugepages/hugepages-${size}kB/nr_hugepages" ] || continue
		[ -n "$(tr -d ' \n' <"$node/cpulist")" ] || continue
		echo "$node/hugepages/hugepages-${size}kB"
		found=1
	done
	[ -n "$found" ] || echo "$HUGE_SYS/kernel/mm/hugepages/hugepages-${size}kB"
}

huge_total() { cat "$HUGE_SYS/kernel/mm/hugepages/hugepages-$(huge_size_kib)kB/nr_hugepages"; }

# A failing write (-ENOMEM, read-only sysfs) shows in what is there afterwards.
huge_write() { echo "$2" >"$1/nr_hugepages" 2>/dev/null || true; }

huge_locked() {
	local status=0
	exec {huge_lock}>"$HUGE_STATE/lock"
	flock "$huge_lock"
	"$@" || status=$?
	exec {huge_lock}>&-
	return "$status"
}

# Field 22 of stat is when the process began: the same number may come again.
huge_process_id() { echo "$1.$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '{ print $20 }')"; }

huge_mount() { mount -t hugetlbfs -o "pagesize=$(huge_size_kib)K,mode=0700" iovad "$1"; }

# add NODE COUNT: raise by count; prints what was added.
huge_add() {
	local before after
	before=$(cat "$1/nr_hugepages")
	echo "$1 $2" >>"$HUGE_RUN/pages"
	huge_write "$1" $((before + $2))
	after=$(cat "$1/nr_hugepages")
	sed -i '$d' "$HUGE_RUN/pages"
	[ "$after" -le "$before" ] || echo "$1 $((after - before))" >>"$HUGE_RUN/pages"
	echo $((after - before))
}

# COUNT more pages on every node. Pages that are free already may be meant for others,
# so they count only where no more can be had.
huge_reserve() {
	local node want=$1 got
	while read -r node; do
		got=$(huge_add "$node" "$want")
		if [ "$got" -lt "$want" ]; then
			# Free memory in small pieces: let the kernel put it together, once.
			echo 1 >/proc/sys/vm/compact_memory 2>/dev/null || true
			got=$((got + $(huge_add "$node" $((want - got)))))
		fi
		[ "$got" -ge "$want" ] || [ "$(cat "$node/free_hugepages")" -ge "$want" ] || return 1
	done < <(huge_nodes)
}

# Undo what the folder of a run says.
huge_undo() {
	local run=$1 node count now
	if mountpoint -q "$run/huge"; then
		umount "$run/huge" 2>/dev/null || umount -l "$run/huge"
	fi
	if [ -f "$run/pages" ]; then
		while read -r node count; do
			now=$(cat "$node/nr_hugepages")
			huge_write "$node" $((now > count ? now - count : 0))
		done <"$run/pages"
	fi
	rm -rf --one-file-system "$run"
}

# Runs that were killed left their folder.
huge_recover() {
	local run id
	for run in "$HUGE_STATE"/*.*; do
		[ -d "$run" ] || continue
		id=${run##*/}
		[ "$(huge_process_id "${id%%.*}")" != "$id" ] || continue
		say_change "giving back the huge pages of a run that was killed (process ${id%%.*})"
		huge_undo "$run"
	done
}

# huge_take MIB: that much free on every node, and HUGE_DIR to use it through.
huge_take() {
	local mib=$1 size before
	size=$(huge_size_kib)
	if [ -z "$size" ] || [ ! -d "$HUGE_SYS/kernel/mm/hugepages" ]; then
		die "this kernel has no huge pages (CONFIG_HUGETLBFS)." \
			"Use another kernel, or run this with --no-huge, which tests less."
	fi
	mkdir -p "$HUGE_STATE"
	huge_locked huge_recover
	HUGE_RUN=$HUGE_STATE/$(huge_process_id $$)
	mkdir -m 0700 "$HUGE_RUN" "$HUGE_RUN/huge" "$HUGE_RUN/runtime"
	on_exit huge_give_back
	before=$(huge_total)
	huge_locked huge_reserve $((mib * 1024 / size)) || die \
		"no huge pages to be had: $mib MiB a NUMA node are needed, there are $(huge_total) pages of $size KiB, $(memory_available_mib) MiB of memory are available." \
		"In a container they are the host's to give: run this on the host, or reserve them there." \
		"Else memory is short or in small pieces: close programs, or reboot and run this first," \
		"or reserve them at boot with hugepages=$((mib * 1024 / size)) on the kernel's command line." \
		"To do without them, and test less: --no-huge."
	huge_mount "$HUGE_RUN/huge" || die "hugetlbfs cannot be mounted; mount's message is above." \
		"In a container this needs the right to mount (--privileged, or CAP_SYS_ADMIN)." \
		"To do without it, and test less: --no-huge."
	HUGE_DIR=$HUGE_RUN/huge
	# EAL keeps its runtime files below this folder.
	export RUNTIME_DIRECTORY=$HUGE_RUN/runtime
	if [ "$(huge_total)" -eq "$before" ]; then
		say "Huge pages: of the $before there are, enough are free; no more could be had."
	else
		say_change "huge pages of $size KiB: $before -> $(huge_total) until the end"
	fi
	say_change "a hugetlbfs of this run's own at $HUGE_DIR until the end"
}

huge_give_back() {
	[ -n "$HUGE_RUN" ] && [ -d "$HUGE_RUN" ] || return 0
	huge_locked huge_undo "$HUGE_RUN"
	say_change "huge pages: back to $(huge_total), the run's hugetlbfs unmounted"
	HUGE_RUN=
}
