# SPDX-License-Identifier: BSD-3-Clause
"""What an I/O virtual address is: /iovad/whatis, for people, and addresses in lines of a kernel's log."""

import argparse
import re

from telemetry import Trouble
from units import size

# What IOMMU drivers write before the address: intel, amd, arm-smmu-v3 and arm-smmu.
IN_LOG = re.compile(r"(?:fault addr|address=|input address:?|iova[=:]) ?(?:0x)?([0-9a-fA-F]{1,16})\b")
MEANING = {
    "outside": "not an address of this domain, and never was",
    "free": "free: nobody has it now",
    "held_back": "free: it was given back of late, and debug mode hands it out late",
    "reserved": "reserved: kept out of circulation, nothing is mapped here by iovad",
    "live": "allocated, but not mapped",
    "cached": "free: an lcore's cache or the depot has it, nothing is mapped here",
    "mapped": "mapped",
    "region": "mapped, as a region",
    "deferred": "unmapped lazily: devices may still reach it",
    "quarantined": "unmapped, but its translation could not be removed: devices may still reach it",
    "padding": "beside a mapping, kept free for the sake of its alignment",
    "bounce": "in the window of a bounce pool",
}


def address_in(text):
    """The address in a line of a log, or the number that it is."""
    if found := IN_LOG.search(text):
        return int(found[1], 16)
    try:
        value = int(text, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: neither an address (0x...) nor a line of a kernel's log that has one") \
            from error
    if not 0 <= value < 1 << 64:
        raise argparse.ArgumentTypeError(f"{text}: from 0 to 2^64 - 1")
    return value


def ask(connection, address, domain=None):
    """An answer of each domain, or of this one."""
    names = sorted(connection.ask("/iovad/list") or [])
    if domain is not None and domain not in names:
        raise Trouble(f"no domain {domain}; there are: {', '.join(names) or 'none'}")
    answers = [connection.ask("/iovad/whatis", name, f"{address:#x}") for name in ([domain] if domain else names)]
    found = [answer for answer in answers if answer]
    if not found:
        raise Trouble("it has no domain now, or its iovad does not know /iovad/whatis")
    return found


def span(first, last):
    return f"{first:#x} - {last:#x}, {size(last - first + 1)}"


def lines(answer):
    """For people."""
    shown = [f"{answer['domain']}: {answer['address']:#x}: {meaning(answer)}"]
    if "first" in answer:
        shown.append(f"  in       {span(answer['first'], answer['last'])}")
    if "va" in answer:
        shown.append(f"  memory   {answer['va']:#x}, {' and '.join(answer['dir']).replace('_', ' ')}")
    for side in ("below", "above"):
        if side in answer:
            shown.append(f"  {side}    {span(answer[side + '_first'], answer[side + '_last'])}: {answer[side]}, "
                         f"{size(answer[side + '_distance'])} away")
    if "history" not in answer:
        shown.append("  history  none is kept: create the domain with IOVAD_DOMAIN_F_DEBUG, or set IOVAD_DEBUG=on")
    elif not answer["history"]:
        shown.append("  history  this process remembers nothing here")
    else:
        shown += ["  history", *(f"  {line}" for line in answer["history"])]
    return shown


def meaning(answer):
    text = MEANING.get(answer["state"], answer["state"])
    if "pool" not in answer:
        return text
    return f"{text}, {answer['pool']}: " + ("a slot that is mapped" if answer["slot"] == "mapped" else "no slot is mapped here")
