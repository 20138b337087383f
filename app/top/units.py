# SPDX-License-Identifier: BSD-3-Clause
"""Numbers for people, in at most eight characters."""


def significant(value):
    """Three digits."""
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def scaled(value, step, units):
    for unit in units[:-1]:
        if round(value) < step:
            break
        value /= step
    else:
        unit = units[-1]
    return f"{significant(value)} {unit}".rstrip()


def count(value):
    return "-" if value is None else f"{int(value):,}" if value == int(value) and value < 1e5 else \
        scaled(value, 1000, ("", "k", "M", "G", "T", "P"))


def size(value):
    return scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"))


def duration(microseconds):
    if microseconds >= 120e6:
        return f"{microseconds / 60e6:.0f} min"
    return scaled(microseconds * 1000, 1000, ("ns", "us", "ms", "s"))


def percent(share):
    return "-" if share is None else f"{100 * share:.1f} %"
