#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""restarts.py BUILD TIMES: sessions of testpmd, one after the other, in the emulated machine;
$IOVAD_VM_OUT/restarts.json says what each found, and what the machine had before and after."""

import fcntl
import json
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, os.environ["IOVAD_VM_TREE"] + "/examples/testpmd")
import session  # noqa: E402

# <linux/vfio.h>
SET_CONTAINER, SET_IOMMU, GET_INFO, TYPE1 = 0x3B68, 0x3B66, 0x3B70, 1
CAPABILITY_DMA_AVAILABLE = 3


def mappings_left(nic):
    """How many mappings a container with this device may still have."""
    group = Path(f"/sys/bus/pci/devices/{nic}/iommu_group").resolve().name
    container = os.open("/dev/vfio/vfio", os.O_RDWR)
    device = os.open(f"/dev/vfio/{group}", os.O_RDWR)
    try:
        fcntl.ioctl(device, SET_CONTAINER, struct.pack("i", container))
        fcntl.ioctl(container, SET_IOMMU, TYPE1)
        info = bytearray(1024)
        struct.pack_into("I", info, 0, len(info))
        fcntl.ioctl(container, GET_INFO, info)
        at = struct.unpack_from("I", info, 16)[0]
        while at:
            kind, _, following = struct.unpack_from("HHI", info, at)
            if kind == CAPABILITY_DMA_AVAILABLE:
                return struct.unpack_from("I", info, at + 8)[0]
            at = following
        return None
    finally:
        os.close(device)
        os.close(container)


def state(nic):
    # Counts that CPUs keep for themselves are added by this; else they come seconds later.
    Path("/proc/sys/vm/stat_refresh").read_text()
    numbers = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    pins = int(numbers["nr_foll_pin_acquired"])
    return {"mappings_left": mappings_left(nic),
            "pins": pins,
            "pinned": pins - int(numbers["nr_foll_pin_released"]),
            "huge_pages": int(Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text()),
            "files": sorted(str(p) for folder in ("/run", "/dev/hugepages", "/dev/shm", "/tmp",
                                                  "/sys/kernel/tracing/instances")
                            for p in Path(folder).rglob("*") if "iovad-vm" not in p.name)}


def main():
    build, times = sys.argv[1], int(sys.argv[2])
    nics = os.environ["IOVAD_VM_NICS"]
    args = session.parse_arguments([
        "--nics", nics, "--build", build, "--packets", "500", "--mbufs", "2048",
        "--witness", f"{build}/test/vm/programs/libmbuf_witness.so"])
    result = {"before": state(nics.split()[0]), "runs": []}
    for number in range(times):
        _, found = session.run(args)
        result["runs"].append(found)
        print(f"run {number + 1}: {found}", flush=True)
    result["after"] = state(nics.split()[0])
    Path(os.environ["IOVAD_VM_OUT"], "restarts.json").write_text(json.dumps(result, indent=2) + "\n")
    return 1 if any(run["problems"] for run in result["runs"]) else 0


if __name__ == "__main__":
    sys.exit(main())
