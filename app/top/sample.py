# SPDX-License-Identifier: BSD-3-Clause
"""All that a process tells of its domains at one time, and what changed between two times."""

import time

CONTROL = "/iovad/control"
BOUNCE = "/iovad/bounce"
MOST_BUCKETS = 256
# Of /iovad/stats; all others are gauges or peaks.
COUNTERS = ("cache_hits", "depot_hits", "tree_allocs", "tree_frees", "fail_nospace", "fail_again", "backend_maps",
            "backend_unmaps", "backend_errors", "flushes", "reclaims", "bad_frees", "unmapped_ranges", "helps",
            "bad_unmaps", "quarantine_retries", "grows", "deferred_frees", "trims", "resizes")
# Of /iovad/bounce.
POOL_COUNTERS = ("maps", "unmaps", "misses", "refused", "copied_in_bytes", "copied_out_bytes", "grows", "shrinks", "cache_hits",
                 "depot_hits", "tree_allocs", "reclaims")
ALLOCS = ("cache_hits", "depot_hits", "tree_allocs")


def take(connection, names=None, buckets=64):
    """{time, pid, version, control, domains, bounce}; of these domains, or all. What ends meanwhile is left out."""
    there = connection.ask("/iovad/list")
    sample = {"time": time.monotonic(), "pid": connection.greeting["pid"],
              "version": connection.greeting["version"], "iovad": there is not None,
              "names": sorted(there or []), "control": connection.ask(CONTROL), "domains": {}}
    for name in sample["names"] if names is None else [n for n in names if n in sample["names"]]:
        domain = {"info": connection.ask("/iovad/info", name), "stats": connection.ask("/iovad/stats", name),
                  "caches": caches(connection, name),
                  "map": connection.ask("/iovad/map", name, min(buckets, MOST_BUCKETS))}
        if None not in (domain["info"], domain["stats"]):
            sample["domains"][name] = domain
    pools = [connection.ask(BOUNCE, name) for name in sorted(connection.ask(BOUNCE) or [])]
    sample["bounce"] = {pool["name"]: pool for pool in pools if pool and pool["domain"] in sample["domains"]}
    return sample


def caches(connection, name):
    """/iovad/caches, put together again where it takes several answers."""
    whole = part = connection.ask("/iovad/caches", name)
    while part and part["lcore_id"] and len(whole["lcore_id"]) < part["lcores"]:
        part = connection.ask("/iovad/caches", name, len(whole["lcore_id"]))
        for key in part or ():
            if key.startswith("lcore_"):
                whole[key] += part[key]
    return whole


def rates(before, after, name):
    """Per second, of a domain; hit_rate is a share. None where there is nothing to compare."""
    if not before or name not in before["domains"] or before["pid"] != after["pid"]:
        return None
    old, new = before["domains"][name]["stats"], after["domains"][name]["stats"]
    seconds = after["time"] - before["time"]
    found = per_second(old, new, COUNTERS, seconds)
    if found is None:
        return None
    grown = {key: new[key] - old[key] for key in COUNTERS}
    allocs = sum(grown[key] for key in ALLOCS)
    found["allocs"] = allocs / seconds
    # Caches do not count what is given back to them.
    found["frees"] = max(0, allocs - (new["live_ranges"] - old["live_ranges"])) / seconds
    found["hit_rate"] = grown["cache_hits"] / allocs if allocs else None
    return found


def per_second(old, new, counters, seconds):
    """None where it is another thing of this name."""
    grown = {key: new[key] - old[key] for key in counters}
    if seconds <= 0 or min(grown.values()) < 0:
        return None
    return {key: value / seconds for key, value in grown.items()}


def pool_rates(before, after, name):
    """Per second, of a bounce pool. None where there is nothing to compare."""
    old = before["bounce"].get(name) if before and before["pid"] == after["pid"] else None
    return per_second(old, after["bounce"][name], POOL_COUNTERS, after["time"] - before["time"]) if old else None


def lcore_rates(before, after, name):
    """Hits per second of each row of after's caches; None where there is nothing to compare."""
    rows = after["domains"][name]["caches"]
    seconds = after["time"] - before["time"] if before else 0
    old = before["domains"].get(name, {}).get("caches") if seconds > 0 and before["pid"] == after["pid"] else None
    was = dict(zip(zip(old["lcore_pid"], old["lcore_id"]), old["lcore_hits"])) if old else {}
    found = []
    for key, hits in zip(zip(rows["lcore_pid"], rows["lcore_id"]), rows["lcore_hits"]):
        found.append((hits - was[key]) / seconds if key in was and hits >= was[key] else None)
    return found
