#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# vm.sh BUILD_DIR: the commands of documents that start an emulated machine. BUILD_DIR is the tree's build/.
set -euo pipefail
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
exec python3 -B "$SOURCE/test/docs/commands.py" "$SOURCE" "$1" vm
