#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# isa_symbols.sh ARCHIVE...: inline functions in code compiled for wider instructions must
# belong to that code alone, or the linker may keep their copy for the whole program and
# an older CPU meets instructions that it does not have. TAP.
set -euo pipefail
echo "1..$#"
number=0 failed=0
for archive in "$@"; do
	number=$((number + 1))
	shared=$(nm -C "$archive" | awk '$2 ~ /^[WVu]$/' | grep -vE 'Kernels|DW\.ref|__(asan|ubsan|tsan)|typeinfo' || true)
	if [ -z "$shared" ]; then
		echo "ok $number - $(basename "$archive") shares no inline function"
	else
		echo "not ok $number - $(basename "$archive") shares inline functions"
		echo "# ${shared//$'\n'/$'\n'# }"
		failed=1
	fi
done
exit $failed
