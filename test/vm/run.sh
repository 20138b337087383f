#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs a command in an emulated machine with an IOMMU: see usage().
set -euo pipefail

# shellcheck source=test/vm/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=test/vm/accel.sh
. "$VM_DIR/accel.sh"
DIE_STATUS=125 # 1 is the command's to return

usage() {
	cat <<'USAGE'
Usage: test/vm/run.sh [options] [--] COMMAND [ARGUMENT...]
       test/vm/run.sh [options] --shell [COMMAND [ARGUMENT...]]

Boots an emulated machine with a VT-d IOMMU, runs COMMAND in it as root, and ends with
its exit status. The machine sees the host's files as they are; what it writes is gone
with it, except in the folder for results. COMMAND has no input.

  --out DIR            folder for results: $IOVAD_VM_OUT in the machine; also gets
                       dmesg.txt and console.log (without it: a folder that is removed)
  --show DIR           keep DIR in sight although it lies below /tmp, /run or /dev/shm,
                       which are empty in the machine; may be given more than once
  --nics KIND          e1000e (default), virtio or none: two, connected to each other,
                       bound to vfio-pci; their PCI addresses are in $IOVAD_VM_NICS
  --kernel-driver      leave them to the kernel's own driver
  --kernel-disk        add an NVMe disk of 1 GiB, all zeros, with the kernel's driver
  --aw-bits 39|48      address width of the IOMMU (default 39)
  --memory MIB         (default 2048)      --cpus N  (default 2)
  --hugepages N        huge pages of 2 MiB, mounted at /dev/hugepages (default 256)
  --timeout SECONDS    from power on; then COMMAND is killed (default 600)
  --kernel-args ARGS   further arguments for the kernel's command line
  --accel KIND         kvm, tcg or auto (default): KVM where it works
  --shell              an interactive shell, or COMMAND on a terminal; no timeout
  --verbose            say what is done, and how long the machine ran

In the machine: $IOVAD_VM_TREE is this checkout, also where /tmp hides it.
Exit status: COMMAND's; 124 where it was killed after the timeout; 125 where the
machine failed (or these options are wrong). Pieces are kept in build/vm, or in
$IOVAD_VM_CACHE. test/vm/README.md says more.
USAGE
}

NICS=e1000e AW_BITS=39 MEMORY=2048 CPUS=2 HUGEPAGES=256 TIMEOUT=600 ACCEL=auto
KERNEL_DRIVER='' KERNEL_DISK='' KERNEL_ARGS='' SHELL_MODE='' VERBOSE='' OUT=''
COMMAND=() SHOW=() QUESTIONER=''
NIC_ADDRESSES=(03 04) # on bus 0, where nothing else is
GRACE=20              # a guest that does not keep the timeout itself is ended after it

need_value() { [ "$1" -ge 2 ] || die "$2 needs a value." "test/vm/run.sh --help"; }

# need_number OPTION VALUE LOWEST
need_number() {
	if ! [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] || [ "$2" -lt "$3" ]; then
		die "$1 needs a number, $3 or more, and not: $2"
	fi
}

need_one_of() {
	local option=$1 value=$2 known
	shift 2
	for known in "$@"; do [ "$value" != "$known" ] || return 0; done
	die "$option: $value is none of: $*"
}

# Paths reach the guest as lines.
need_folder() {
	[ -d "$2" ] || die "$1: no such folder: $2"
	[[ $2 != *$'\n'* ]] || die "$1: a line break in the folder's name: $2"
}

parse_arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--out | --show | --nics | --aw-bits | --memory | --cpus | --hugepages | --timeout | \
			--kernel-args | --accel)
			need_value $# "$1"
			parse_value "$1" "$2"
			shift
			;;
		--kernel-driver) KERNEL_DRIVER=1 ;;
		--kernel-disk) KERNEL_DISK=1 ;;
		--shell) SHELL_MODE=1 ;;
		--verbose) VERBOSE=1 ;;
		-h | --help) usage; exit 0 ;;
		--) shift; break ;;
		-*) usage >&2; die "unknown option: $1" ;;
		*) break ;;
		esac
		shift
	done
	COMMAND=("$@")
	[ $# -gt 0 ] || [ -n "$SHELL_MODE" ] || { usage >&2; die "no command to run"; }
	[ "$MEMORY" -ge $((HUGEPAGES * 2 + 256)) ] || die \
		"$HUGEPAGES huge pages leave too little of $MEMORY MiB: 256 MiB are needed besides." \
		"Give --memory $((HUGEPAGES * 2 + 1024)), or fewer --hugepages."
}

parse_value() {
	case $1 in
	--out) OUT=$2 ;;
	--show) need_folder "$1" "$2"; SHOW+=("$(realpath "$2")") ;;
	--nics) need_one_of "$1" "$2" e1000e virtio none; NICS=$2 ;;
	--aw-bits) need_one_of "$1" "$2" 39 48; AW_BITS=$2 ;;
	--memory) need_number "$1" "$2" 256; MEMORY=$2 ;;
	--cpus) need_number "$1" "$2" 1; CPUS=$2 ;;
	--hugepages) need_number "$1" "$2" 0; HUGEPAGES=$2 ;;
	--timeout) need_number "$1" "$2" 1; TIMEOUT=$2 ;;
	--kernel-args) KERNEL_ARGS=$2 ;;
	--accel) need_one_of "$1" "$2" auto kvm tcg; ACCEL=$2 ;;
	esac
}

note() { [ -z "$VERBOSE" ] || say "iovad-vm: $*" >&2; }

remove_run() {
	[ -z "$QUESTIONER" ] || kill "$QUESTIONER" 2>/dev/null || true
	rm -rf "$RUN"
}

# The folder of this run: what the guest is told, its answer, and the pipes.
make_run() {
	local address addresses=()
	RUN=$(mktemp -d "${TMPDIR:-/tmp}/iovad-vm.XXXXXX")
	on_exit remove_run
	mkdir "$RUN/ctl"
	if [ -z "$OUT" ]; then OUT=$RUN/out; fi
	mkdir -p "$OUT"
	need_folder --out "$OUT"
	OUT=$(realpath "$OUT")
	rm -f "$OUT/dmesg.txt" "$OUT/console.log"
	if [ "$NICS" != none ]; then
		for address in "${NIC_ADDRESSES[@]}"; do addresses+=("0000:00:$address.0"); done
	fi
	[ "${#COMMAND[@]}" -eq 0 ] || printf '%s\0' "${COMMAND[@]}" >"$RUN/ctl/command"
	[ "${#COMMAND[@]}" -gt 0 ] || : >"$RUN/ctl/command"
	[ "${#SHOW[@]}" -eq 0 ] || printf '%s\n' "${SHOW[@]}" >"$RUN/ctl/show"
	[ "${#SHOW[@]}" -gt 0 ] || : >"$RUN/ctl/show"
	setting VM_TREE "$(realpath "$REPO")"
	setting VM_CWD "$(pwd -P)"
	setting VM_KERNEL_DIR "$(realpath "$VM_KERNEL_DIR")"
	setting VM_NICS "${addresses[*]}"
	setting VM_KERNEL_DRIVER "$KERNEL_DRIVER"
	setting VM_LOAD "$(kernel_modules)"
	setting VM_HUGEPAGES "$HUGEPAGES"
	setting VM_TIMEOUT "$TIMEOUT"
	setting VM_SHELL "$SHELL_MODE"
	setting VM_TERM "${TERM:-}"
	setting VM_STTY "$([ -z "$SHELL_MODE" ] || stty size 2>/dev/null || true)"
}

# Quoted for both bash and busybox's shell.
setting() { printf "%s='%s'\n" "$1" "${2//\'/\'\\\'\'}" >>"$RUN/ctl/settings"; }

kernel_modules() {
	if [ -n "$KERNEL_DRIVER" ]; then
		case $NICS in
		e1000e) echo e1000e ;;
		virtio) echo virtio_net ;;
		esac
	fi
	[ -z "$KERNEL_DISK" ] || echo nvme
}

# QEMU's option syntax: a comma is doubled.
q() { printf '%s' "${1//,/,,}"; }

nic_arguments() {
	local n=0 address device=e1000e
	[ "$NICS" != none ] || return 0
	# Without these the device bypasses the IOMMU.
	[ "$NICS" != virtio ] || device=virtio-net-pci,iommu_platform=on,disable-legacy=on,ats=on
	for address in "${NIC_ADDRESSES[@]}"; do
		QEMU+=(-netdev "hubport,id=n$n,hubid=0"
			-device "$device,netdev=n$n,addr=$address,mac=52:54:00:00:00:0$n,romfile=")
		n=$((n + 1))
	done
}

# share TAG DIR [OPTIONS]: outside the IOMMU, so its traffic shows in no trace.
share() {
	QEMU+=(-fsdev "local,id=$1,path=$(q "$2"),security_model=none,multidevs=remap${3:-}"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

qemu_arguments() {
	local iommu="intel-iommu,intremap=on,caching-mode=on,aw-bits=$AW_BITS" args clock
	[ "$NICS" != virtio ] || iommu+=,device-iotlb=on
	args="console=ttyS0 quiet panic=-1 oops=panic intel_iommu=on iommu=nopt log_buf_len=4M"
	# Emulated, the TSC's frequency is measured wrong when the host is busy, by factors, and all of the
	# guest's seconds with it.
	if [ "$VM_ACCEL" = kvm ]; then clock=tsc=reliable; else clock="tsc=unstable clocksource=hpet"; fi
	# Stalls of an emulated CPU are no fault of the guest's.
	args+=" $clock no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 unknown_nmi_panic"
	args+=" random.trust_cpu=on mitigations=off init_on_alloc=0 nokaslr audit=0 apparmor=0 rcupdate.rcu_expedited=1"
	args+=" hugepagesz=2M hugepages=$HUGEPAGES cryptomgr.notests $KERNEL_ARGS"
	read -ra QEMU <<<"$(vm_accel_arguments)"
	# shellcheck disable=SC2054 # the commas are QEMU's
	QEMU+=(-nodefaults -no-user-config -display none -no-reboot -name iovad-vm
		-m "$MEMORY" -smp "$CPUS" -machine q35,kernel-irqchip=split -device "$iommu"
		-kernel "$VM_KERNEL" -initrd "$VM_INITRAMFS" -append "$args"
		-chardev "file,id=console,path=$(q "$OUT/console.log")" -serial chardev:console
		-monitor unix:monitor,server=on,wait=off)
	# First those with an address of their own: the others take what is free.
	nic_arguments
	if [ -n "$KERNEL_DISK" ]; then
		# shellcheck disable=SC2054
		QEMU+=(-drive driver=null-co,size=1G,read-zeroes=on,if=none,id=disk
			-device nvme,serial=iovad,drive=disk,addr=05)
	fi
	QEMU+=(-device virtio-serial-pci)
	share ctl "$RUN/ctl"
	share host / ,readonly=on
	share out "$OUT"
	if [ -n "$SHELL_MODE" ]; then
		# shellcheck disable=SC2054
		QEMU+=(-chardev stdio,id=tty,signal=off -device virtconsole,chardev=tty)
	else
		# shellcheck disable=SC2054
		QEMU+=(-chardev "file,id=stdout,path=$(q "$RUN/stdout")"
			-device virtserialport,chardev=stdout,name=stdout
			-chardev "file,id=stderr,path=$(q "$RUN/stderr")"
			-device virtserialport,chardev=stderr,name=stderr)
	fi
}

# Where nobody wants the output any more, the machine must still get rid of it.
copy() { { cat || cat >/dev/null; } <"$1" 2>/dev/null; }

# question_later: a machine that outlives its time is asked what its processors do, and then
# interrupted, on which its kernel says where it is and ends. No answer: it is QEMU that hangs.
question_later() {
	local never
	exec {never}<>"$RUN/never" # waits without a child that would have to be ended too
	read -rt $((TIMEOUT + GRACE)) -u "$never" || true
	cd "$RUN"
	: >hung
	timeout 5 python3 - monitor <<-'END' | grep -a 'CPU#\|RIP=' >processors.log
		import socket, sys
		monitor = socket.socket(socket.AF_UNIX)
		monitor.connect(sys.argv[1])
		monitor.sendall(b"info registers -a\ninfo cpus\nnmi\n")
		while text := monitor.recv(65536):
		    print(text.decode(errors="replace"), end="", flush=True)
	END
}

# Held open at this end too, so that neither side waits for the other to come; closed
# after the machine, which ends the copies.
run_machine() {
	local out err copies=() status=0
	mkfifo "$RUN/stdout" "$RUN/stderr" "$RUN/never"
	exec {out}<>"$RUN/stdout" {err}<>"$RUN/stderr"
	copy "$RUN/stdout" {out}>&- {err}>&- &
	copies+=($!)
	copy "$RUN/stderr" {out}>&- {err}>&- >&2 &
	copies+=($!)
	question_later {out}>&- {err}>&- >/dev/null 2>&1 &
	QUESTIONER=$!
	# Its name for the monitor is relative, as those of sockets must be short.
	guarded timeout -k 5 $((TIMEOUT + GRACE + 10)) env -C "$RUN" qemu-system-x86_64 "${QEMU[@]}" \
		{out}>&- {err}>&- >"$RUN/qemu.log" 2>&1 || status=$?
	kill "$QUESTIONER" 2>/dev/null || true
	exec {out}>&- {err}>&-
	wait "${copies[@]}" || true
	return "$status"
}

run_shell() {
	local saved status=0
	saved=$(stty -g 2>/dev/null || true)
	say "The machine's terminal; \"exit\" powers it off." >&2
	env -C "$RUN" qemu-system-x86_64 "${QEMU[@]}" 2>"$RUN/qemu.log" || status=$?
	[ -z "$saved" ] || stty "$saved"
	return "$status"
}

tail_of() {
	[ -s "$1" ] || return 0
	say "--- the end of $2:"
	# That the hub of the NICs ends there is meant.
	tail -n "$3" "$1" | tr -d '\r' | grep -v 'hub 0 is not connected to host network' || true
	say "---"
}

# conclude QEMU-STATUS: end as the command did, or say why there is no such status.
conclude() {
	local log
	if [ -f "$RUN/ctl/timed-out" ]; then
		say "iovad-vm: timeout: the command was killed $TIMEOUT s after power on." >&2
		exit 124
	fi
	[ ! -s "$RUN/ctl/status" ] || exit "$(cat "$RUN/ctl/status")"
	{
		tail_of "$OUT/console.log" "the machine's console" 40
		tail_of "$RUN/qemu.log" "what QEMU said" 10
	} >&2
	log=$OUT/console.log
	if [ -f "$RUN/hung" ]; then
		tail_of "$RUN/processors.log" "what its processors were at" 200 >&2
		say "iovad-vm: timeout: the machine hung, and was ended after $((TIMEOUT + GRACE)) s." >&2
		exit 124
	fi
	[ "$1" -eq 0 ] || die "QEMU ended with status $1 before the command did." "What it said is above."
	if grep -q 'Kernel panic' "$log"; then die "the machine's kernel panicked; the end of its console is above."; fi
	die "the machine powered off without the command's status; the end of its console is above."
}

main() {
	local status=0 start
	parse_arguments "$@"
	vm_pieces >&2
	vm_find_accel "$ACCEL" >&2
	make_run
	qemu_arguments
	note "accelerator $VM_ACCEL; ${QEMU[*]}"
	start=$SECONDS
	if [ -n "$SHELL_MODE" ]; then run_shell || status=$?; else run_machine || status=$?; fi
	note "the machine ran for $((SECONDS - start)) s"
	conclude "$status"
}

main "$@"
