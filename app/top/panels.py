# SPDX-License-Identifier: BSD-3-Clause
"""What the screen shows, as lines: lists of (style, text). Neither curses nor a socket here."""

from sample import lcore_rates, pool_rates, rates
from units import count, duration, percent, size

BAR = 11
ALL_ROWS = 10000
LEAST_CACHES = 4  # lines: the depot, some lcores, and around them
CELL = 39  # characters of an lcore


class Glyphs:
    """What a terminal can show. Density is from a little to all."""

    def __init__(self, utf8):
        self.density, self.free, self.reserved, self.bar, self.rest = \
            ("░▒▓█", "·", "▞", "█", "░") if utf8 else (".:+#", "-", "R", "#", ".")


def plain(text=""):
    return [("", text)]


def header(sample, command):
    told = f"pid {sample['pid']}  {command}".rstrip()
    return [("title", "iovad-top"), ("", f"  {told}  {sample['version']}")]


def tabs(sample, selected):
    line = [("dim", "domains  ")]
    for name in sample["names"]:
        line.append(("selected" if name == selected else "", f"[{name}]" if name == selected else f" {name} "))
    return line


def control(report, lazy):
    """Who runs the control lcore, and how its passes go. Lazy domains need one."""
    label = ("dim", "control  ")
    if report is None:
        return [label, ("", "this version has none")]
    if not report["runners"]:
        return [label, ("bad", "nobody runs it: lazy unmapping is strict") if lazy else
                ("", "nobody runs it, and no domain is lazy")]
    line = [label, ("", " and ".join(report["runners"]))]
    if report["passes"]:
        line.append(("", f", {duration(report['last_pass_age_us'])} ago; p50 {duration(report['pass_p50_ns'] / 1000)} "
                         f"p99 {duration(report['pass_p99_ns'] / 1000)} max {duration(report['pass_max_ns'] / 1000)}"))
    return line + plain(f"; {count(report['passes'])} passes")


def about(info):
    span = info["last"] - info["first"] + 1
    first = [("title", info["name"]), ("", f"  {info['first']:#x} - {info['last']:#x}, {size(span)} by "
                                           f"{size(info['granule'])}; {info['backend']}, {info['policy']}")]
    flags = "".join(f", {flag}" for flag in info["flags"])
    pids = ", ".join(map(str, info["processes"]))
    deferred = f"deferred up to {duration(info['lazy_max_age_us'])}, {size(info['lazy_max_bytes'])}; " \
        if info["policy"] == "lazy" else ""
    second = plain(f"{info['isa']} tree, {size(info['metadata_bytes'])}{flags}; {deferred}processes {pids}")
    return [first, second]


def work(stats, rate):
    """The left column: per second."""
    rate = rate or {}
    rows = [("allocs", count(rate.get("allocs"))), ("frees", count(rate.get("frees"))),
            ("from caches", percent(rate.get("hit_rate"))), ("tree allocs", count(rate.get("tree_allocs"))),
            ("maps", count(rate.get("backend_maps"))), ("unmap calls", count(rate.get("backend_unmaps"))),
            ("unmapped", count(rate.get("unmapped_ranges")))]
    lines = [[("dim", f"{'per second':<24}")]]
    lines += [[("", f"{name:<13}{value:>8}   ")] for name, value in rows]
    trouble = {"no space": stats["fail_nospace"], "again": stats["fail_again"], "backend": stats["backend_errors"],
               "bad frees": stats["bad_frees"], "bad unmaps": stats["bad_unmaps"]}
    failed = [f"{name} {count(n)}" for name, n in trouble.items() if n]
    return lines, [("bad", "failed: " + ", ".join(failed))] if failed else plain("failed: none")


def state(info, stats):
    """The right column: now."""
    def row(name, ranges, amount, more="", style=""):
        return [("", f"{name:<11}{ranges:>9}{amount:>10}"), (style, f"  {more}")]

    lazy = info["policy"] == "lazy"
    late = lazy and stats["deferred_oldest_us"] > info["lazy_max_age_us"]
    fragmentation = f"{stats['fragmentation_permille'] / 10:.1f} % in pieces"
    return [
        [("dim", f"{'now':<11}{'ranges':>9}{'bytes':>10}")],
        row("live", count(stats["live_ranges"]), size(stats["live_bytes"])),
        row("cached", count(stats["cached_ranges"]), size(stats["cached_bytes"])),
        row("reserved", "", size(stats["reserved_bytes"])),
        row("free", "", size(stats["free_bytes"]), fragmentation),
        row("deferred", count(stats["deferred_ranges"]), size(stats["deferred_bytes"]),
            f"oldest {duration(stats['deferred_oldest_us'])}" if lazy else "", "bad" if late else ""),
        row("  at most", "", size(stats["deferred_peak_bytes"]),
            f"longest {duration(stats['deferred_peak_us'])}" if lazy else ""),
        row("quarantine", count(stats["quarantined_ranges"]), size(stats["quarantined_bytes"]),
            style="bad" if stats["quarantined_ranges"] else ""),
    ]


def cache_cells(caches, hits, glyphs):
    """For each lcore what its cache holds, beside the fullest, and hits per second."""
    most = max([*caches["lcore_cached"], 1])
    cells = []
    for pid, lcore, held, total, rate in zip(*(caches[f"lcore_{key}"] for key in ("pid", "id", "cached", "hits")), hits):
        if not pid and not total:  # of threads that are no lcores, and there are none
            continue
        full = round(BAR * held / most)
        cells.append([("", f"{f'{pid}/{lcore}' if pid else 'others':>10} "), ("live", glyphs.bar * full),
                      ("dim", glyphs.rest * (BAR - full)), ("", f"{count(held):>7}{count(rate):>8}/s")])
    return cells


def in_columns(cells, width, rows):
    """Line by line, as many side by side as there is room for."""
    across = max((width + 1) // (CELL + 1), 1)
    if len(cells) > across * rows:
        rest = len(cells) - across * rows + 1
        cells = cells[:across * rows - 1] + [plain(f"{'':>11}and {rest} more")]
    return [sum(([*cell, ("", " ")] for cell in cells[i:i + across]), []) for i in range(0, len(cells), across)]


def depot(caches):
    """Of each size: full magazines and empty ones, and the addresses that one holds."""
    bins = zip(*(caches[f"depot_{key}"] for key in ("granules", "full", "empty", "capacity", "contended")))
    held = [f"{granules} x {capacity}: {full} full, {empty} empty" +
            (f", {count(contended)} contended" if contended else "")
            for granules, full, empty, capacity, contended in bins if full or empty or contended]
    return [("dim", "depot    "), ("", "; ".join(held) or "empty")]


def pools(before, after, domain, room):
    """Bounce pools of a domain: sizes, and what goes through them per second, or in one line where there is no room.
    Red: maps were refused."""
    there = [pool for _, pool in sorted(after["bounce"].items()) if pool["domain"] == domain]
    found = {pool["name"]: pool_rates(before, after, pool["name"]) or {} for pool in there}
    if not there:
        return []
    if room < 3:
        refused = any(rate.get("refused") for rate in found.values())
        short = [f"{pool['name']} {size(pool['used_bytes'])} of {size(pool['size_bytes'])}" for pool in there]
        return [[("dim", "bounce   "), ("bad" if refused else "", "; ".join(short))]]
    lines = [[("dim", f"{'bounce':<18}{'used':>9}{'size':>9}{'at most':>9}{'maps/s':>8}{'in/s':>9}{'out/s':>9}{'misses':>7}")]]
    for pool in there[:room - 2]:
        rate = found[pool["name"]]
        copied = [size(rate[key]) if rate else "-" for key in ("copied_in_bytes", "copied_out_bytes")]
        lines.append([("", f"{pool['name'][:17]:<18}{size(pool['used_bytes']):>9}{size(pool['size_bytes']):>9}"
                           f"{size(pool['max_bytes']):>9}{count(rate.get('maps')):>8}{copied[0]:>9}{copied[1]:>9}"),
                      ("bad" if rate.get("refused") else "", f"{count(pool['misses']):>7}")])
    if len(there) > room - 2:
        lines.append(plain(f"and {len(there) - room + 2} more"))
    return lines


def cell(live, reserved, glyphs):
    """One slice of the window, in millionths. What there is shows, however little; most of it wins."""
    if live == 0 and reserved == 0:
        return "dim", glyphs.free
    if reserved > live:
        return "reserved", glyphs.reserved
    steps = len(glyphs.density)
    return "live", glyphs.density[min(steps - 1, live * steps // 10 ** 6)]


def space(answer, glyphs):
    cells = [cell(live, reserved, glyphs) for live, reserved in zip(answer["live_ppm"], answer["reserved_ppm"])]
    low, high = f"{answer['first']:#x}", f"{answer['last']:#x}"
    legend = f"live {glyphs.density}  reserved {glyphs.reserved}  free {glyphs.free}"
    middle = max(len(cells) - len(low) - len(high), 2)
    return [[("dim", low), ("", f"{legend:^{middle}}" if len(legend) < middle else " " * middle), ("dim", high)], cells]


def domain_panel(before, after, name, glyphs, width, rows):
    """All of one domain, in so many rows."""
    domain = after["domains"][name]
    lines = [*about(domain["info"]), plain()]
    left, failed = work(domain["stats"], rates(before, after, name))
    lines += [a + b for a, b in zip(left, state(domain["info"], domain["stats"]))] + [failed]
    chart = space(domain["map"], glyphs) if domain["map"] else []
    lines += pools(before, after, name, rows - len(lines) - len(chart) - LEAST_CACHES)
    if domain["caches"]:
        lines += [plain(), depot(domain["caches"])]
        cells = cache_cells(domain["caches"], lcore_rates(before, after, name), glyphs)
        lines += in_columns(cells, width, max(rows - len(lines) - len(chart) - 1, 1))
    return lines + [plain()] + chart


def process_panel(after, command):
    lazy = any(d["info"]["policy"] == "lazy" for d in after["domains"].values())
    return [header(after, command), control(after["control"], lazy)]


def screen(before, after, selected, command, glyphs, width, rows):
    """All lines, in so many rows; they may be wider than the screen."""
    if not after["iovad"]:
        return [header(after, command), plain(), plain("This process does not know iovad: it has not loaded libiovad.")]
    top = [*process_panel(after, command), tabs(after, selected), plain()]
    if selected not in after["domains"]:
        return top + [plain(f"There is no domain {selected} now." if selected else "It has no domain now.")]
    return top + domain_panel(before, after, selected, glyphs, width, rows - len(top))


def report(before, after, command, glyphs, width):
    """Everything, one domain below the other."""
    lines = process_panel(after, command)
    for name in sorted(after["domains"]):
        lines += [plain(), *domain_panel(before, after, name, glyphs, width, ALL_ROWS)]
    return lines if after["domains"] else [*lines, plain("It has no domain now.")]


def text(lines, width):
    """For files and pipes."""
    return "\n".join("".join(part for _, part in line)[:width].rstrip() for line in lines)
