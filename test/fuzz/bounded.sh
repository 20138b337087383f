#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# bounded.sh TARGET CORPUS RUNS KEEP [LIBFUZZER-OPTIONS...]
#
# The inputs of CORPUS, then RUNS in all that libFuzzer makes of them: the same each time. An input
# that a target cannot bear is kept in the folder KEEP; "TARGET FILE" runs it again.
set -euo pipefail

target=$1 corpus=$2 runs=$3 keep=$4
shift 4

# New inputs go to the first folder that libFuzzer is given; the corpus stays as it is.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/new" "$scratch/run"
export RUNTIME_DIRECTORY=$scratch/run # EAL's

# libFuzzer learns from what is compared, addresses too: so they should be the same. And clang 14's
# AddressSanitizer fails to start where addresses are random in more than 28 bits.
fixed=()
if setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi

# libFuzzer's own exit status, 77, means "skipped" to Meson.
options=(-error_exitcode=1 -runs="$runs" -seed=1 -max_len=2048 -len_control=20 -timeout=60 -print_final_stats=1 -print_funcs=0 -verbosity=0)
[ ! -f "$corpus.dict" ] || options+=(-dict="$corpus.dict")
"${fixed[@]}" "$target" "${options[@]}" -artifact_prefix="$keep/$(basename "$target")-" "$@" "$scratch/new" "$corpus"
