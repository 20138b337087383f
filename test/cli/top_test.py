#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""iovad-top without a process: rates, units, what is shown in 80 columns, and its socket client
against a server made up here. Prints TAP."""

import argparse
import contextlib
import io
import json
import re
import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source may be somebody else's
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "app/top"))
import main as top  # noqa: E402
import panels  # noqa: E402
import sample  # noqa: E402
import telemetry  # noqa: E402
import units  # noqa: E402
import whatis  # noqa: E402
from watch import Watch  # noqa: E402

GAUGES = ("live_ranges", "live_bytes", "cached_ranges", "cached_bytes", "deferred_ranges", "deferred_bytes",
          "deferred_oldest_us", "reserved_bytes", "quarantined_bytes", "free_bytes", "largest_gap_bytes", "tree_nodes",
          "tree_bytes", "deferred_peak_bytes", "deferred_peak_us", "quarantined_ranges", "fragmentation_permille",
          "hit_permille")
INFO = {"name": "nic0", "first": 0x1000, "last": 0xffffffffffff, "granule": 4096, "backend": "vfio", "policy": "lazy",
        "lazy_max_age_us": 10000, "lazy_max_bytes": 64 << 20, "flags": [], "isa": "AVX-512", "processes": [77, 78],
        "metadata_bytes": 3 << 20}
CONTROL = {"runners": ["thread"], "passes": 1234, "skipped": 0, "items": 5, "last_pass_age_us": 4000,
           "pass_p50_ns": 4096, "pass_p99_ns": 65536, "pass_max_ns": 123456}


POOL = {"name": "tx", "domain": "nic0", "first": 0xffffc0000000, "max_bytes": 64 << 20, "initial_bytes": 2 << 20, "flags": [],
        "size_bytes": 6 << 20, "used_bytes": 3 << 20, "hiwater_bytes": 5 << 20, "transient_bytes": 0, "out_bytes": 4 << 20,
        "standby_bytes": 0, **dict.fromkeys(sample.POOL_COUNTERS, 0)}


def caches_of(lcores):
    caches = {"lcores": lcores + 1, "lcore_pid": [77] * lcores + [0], "lcore_id": [*range(1, lcores + 1), 2 ** 32 - 1],
              "lcore_cached": [100] * lcores + [0], "lcore_hits": [1000] * lcores + [0],
              "lcore_depot_hits": [0] * (lcores + 1), "depot_granules": [1, 1], "depot_zone": [0, 1],
              "depot_full": [0, 3], "depot_empty": [0, 1], "depot_capacity": [126, 126], "depot_contended": [0, 0]}
    for size in (1, 2, 4, 8, 16, 32, 64):
        caches[f"lcore_cached_{size}"] = caches["lcore_cached"]
    return caches


def a_sample(time=100.0, lcores=4, buckets=79, **stats):
    counters = {**dict.fromkeys(sample.COUNTERS, 0), **dict.fromkeys(GAUGES, 0), **stats}
    window = {"first": 0x1000, "last": 0xffffffffffff, "live_ppm": [0] * buckets, "reserved_ppm": [0] * buckets}
    domain = {"info": dict(INFO), "stats": counters, "caches": caches_of(lcores), "map": window}
    return {"time": time, "pid": 77, "version": "DPDK 22.11.11", "iovad": True, "names": ["nic0", "nic1"],
            "control": dict(CONTROL), "domains": {"nic0": domain}, "bounce": {}}


def with_pools(sample_of_it, *names, **counters):
    sample_of_it["bounce"] = {name: {**POOL, "name": name, **counters} for name in names}
    return sample_of_it


def shown(before, after, width=79, rows=23, utf8=True):
    return panels.text(panels.screen(before, after, "nic0", "testpmd", panels.Glyphs(utf8), width, rows), 1000)


class Rates(unittest.TestCase):
    def test_ArePerSecond(self):
        before = a_sample(cache_hits=1000, depot_hits=10, tree_allocs=100, live_ranges=50, backend_maps=7)
        after = a_sample(102.0, cache_hits=2960, depot_hits=30, tree_allocs=120, live_ranges=150, backend_maps=17)
        found = sample.rates(before, after, "nic0")
        self.assertEqual((found["allocs"], found["frees"], found["backend_maps"]), (1000, 950, 5))
        self.assertEqual(found["hit_rate"], 0.98)

    def test_OfNothingThereIsNoHitRate(self):
        self.assertIsNone(sample.rates(a_sample(), a_sample(101.0), "nic0")["hit_rate"])

    def test_TheFirstSampleHasNone(self):
        self.assertIsNone(sample.rates(None, a_sample(), "nic0"))
        self.assertIsNone(sample.rates({**a_sample(), "domains": {}}, a_sample(101.0), "nic0"))

    def test_AnotherDomainOfTheNameHasNone(self):
        self.assertIsNone(sample.rates(a_sample(tree_frees=5), a_sample(101.0, tree_frees=4), "nic0"))

    def test_AnotherProcessHasNone(self):
        self.assertIsNone(sample.rates({**a_sample(), "pid": 76}, a_sample(101.0), "nic0"))

    def test_OfLcoresFollowThem(self):
        before, after = a_sample(), a_sample(102.0, lcores=5)
        after["domains"]["nic0"]["caches"]["lcore_hits"][1] = 5000
        self.assertEqual(sample.lcore_rates(before, after, "nic0"), [0, 2000, 0, 0, None, 0])

    def test_OfPoolsArePerSecond(self):
        before, after = with_pools(a_sample(), "tx", maps=100), with_pools(a_sample(102.0), "tx", maps=700, copied_in_bytes=9000)
        found = sample.pool_rates(before, after, "tx")
        self.assertEqual((found["maps"], found["copied_in_bytes"], found["refused"]), (300, 4500, 0))
        self.assertIsNone(sample.pool_rates(after, with_pools(a_sample(103.0), "tx", maps=5), "tx"))
        self.assertIsNone(sample.pool_rates(before, with_pools(a_sample(103.0), "rx"), "rx"))
        self.assertIsNone(sample.pool_rates(None, after, "tx"))

    def test_EveryCounterIsOneOfTheHeader(self):
        header = (Path(__file__).resolve().parents[2] / "lib/include/iovad/iovad.h").read_text(encoding="utf-8")
        for name in sample.COUNTERS + GAUGES[:-2]:
            self.assertRegex(header, rf"\b{name}\b")

    def test_EveryCounterOfPoolsIsAnswered(self):
        source = (Path(__file__).resolve().parents[2] / "lib/eal/telemetry/bounce.cpp").read_text(encoding="utf-8")
        for name in POOL:
            self.assertRegex(source, rf"\b{name}\b")


class Units(unittest.TestCase):
    def test_AreShort(self):
        for value, text in ((0, "0"), (0.0, "0"), (0.25, "0.25"), (99999, "99,999"), (100000, "100 k"), (1.23456e6, "1.23 M"),
                            (2 ** 64, "18447 P"), (None, "-")):
            self.assertEqual(units.count(value), text)
        for value, text in ((0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (3 << 29, "1.50 GiB"), (2 ** 64, "16 EiB")):
            self.assertEqual(units.size(value), text)
        for value, text in ((0, "0 ns"), (0.5, "500 ns"), (1500, "1.50 ms"), (60e6, "60 s"), (600e6, "10 min")):
            self.assertEqual(units.duration(value), text)
        self.assertEqual(units.percent(0.99876), "99.9 %")


class Layout(unittest.TestCase):
    def test_80By24HasAllOfADomain(self):
        huge = {key: 123456789012345678 for key in GAUGES + sample.COUNTERS}
        huge |= {key: 999 for key in huge
                 if key.startswith(("fail", "bad")) or key.endswith(("_us", "permille", "errors"))}
        before = a_sample(100.0, **{**huge, **dict.fromkeys(sample.COUNTERS, 0)})
        text = shown(before, a_sample(101.0, lcores=128, **huge))
        lines = text.splitlines()
        self.assertLessEqual(len(lines), 23)
        self.assertEqual([line for line in lines if len(line) > 79], [])
        for words in ("nic0", "vfio, lazy", "allocs", "live", "reserved", "deferred", "quarantine", "77/1", "more", "░▒▓█",
                      "thread, 4 ms ago; p50 4.10 us", "1,234 passes"):
            self.assertIn(words, text)

    def test_PoolsOfTheDomain(self):
        before = with_pools(a_sample(), "tx", "a_name_of_23_characters")
        after = with_pools(a_sample(101.0), "tx", "a_name_of_23_characters", maps=123456789, copied_in_bytes=123456789012,
                           copied_out_bytes=123456789012, misses=99999)
        after["bounce"]["other"] = {**POOL, "domain": "nic1", "name": "other"}
        text = shown(before, after, rows=30)
        self.assertEqual([line for line in text.splitlines() if len(line) > 79], [])
        for words in ("tx  ", "3 MiB", "6 MiB", "64 MiB", "123 M", "115 GiB", "99,999", "a_name_of_23_char "):
            self.assertIn(words, text)
        self.assertNotIn("other", text)
        self.assertIn("tx 3 MiB of 6 MiB", shown(before, after))
        for rows in range(23, 40):
            text = shown(None, with_pools(a_sample(lcores=128), *"abcdefg"), rows=rows)
            self.assertLessEqual(len(text.splitlines()), rows)
        self.assertIn("and 4 more", shown(None, with_pools(a_sample(), *"abcdefg"), rows=27))
        report = panels.text(panels.report(None, with_pools(a_sample(), *"abcdefg"), "", panels.Glyphs(True), 79), 80)
        self.assertNotIn("more", report)

    def test_RefusedMapsAreMarked(self):
        lines = panels.pools(with_pools(a_sample(), "tx"), with_pools(a_sample(101.0), "tx", refused=1), "nic0", 4)
        self.assertEqual(lines[1][1][0], "bad")

    def test_WithoutUtf8ItIsAscii(self):
        after = a_sample(live_ranges=3)
        after["domains"]["nic0"]["map"]["live_ppm"][5] = 1
        self.assertTrue(shown(None, after, utf8=False).isascii())

    def test_LcoresThatHaveNoRoomAreCounted(self):
        cells = panels.cache_cells(caches_of(9), [0] * 10, panels.Glyphs(True))
        self.assertEqual(len(cells), 9)
        lines = panels.in_columns(cells, 79, 3)
        self.assertEqual(len(lines), 3)
        self.assertIn("and 4 more", panels.text(lines, 200))
        self.assertEqual(len(panels.in_columns(cells, 79, 5)), 5)
        self.assertEqual(len(panels.in_columns(cells, 10, 9)), 9)

    def test_ALittleShowsInTheMap(self):
        glyphs = panels.Glyphs(True)
        self.assertEqual([panels.cell(live, reserved, glyphs)[1] for live, reserved in
                          ((0, 0), (1, 0), (500000, 0), (1000000, 0), (0, 1), (5, 6), (999999, 1))], list("·░▓█▞▞█"))

    def test_NobodyRunsTheControlLcore(self):
        after = a_sample()
        after["control"]["runners"] = []
        line = panels.process_panel(after, "")[1]
        self.assertEqual(line[1][0], "bad")
        after["domains"]["nic0"]["info"]["policy"] = "strict"
        line = panels.process_panel(after, "")[1]
        self.assertEqual(line[1][0], "")

    def test_OverdueIsMarked(self):
        for oldest, style in ((10000, ""), (10001, "bad")):
            rows = panels.state(INFO, a_sample(deferred_oldest_us=oldest)["domains"]["nic0"]["stats"])
            self.assertEqual(rows[5][1][0], style)

    def test_FailuresAreMarked(self):
        stats = a_sample(fail_nospace=3)["domains"]["nic0"]["stats"]
        self.assertIn(("bad", "failed: no space 3"), panels.work(stats, None)[1])

    def test_NoDomain(self):
        empty = {**a_sample(), "names": [], "domains": {}}
        self.assertIn("no domain", shown(None, empty))
        self.assertIn("no domain", panels.text(panels.report(None, empty, "", panels.Glyphs(True), 79), 80))

    def test_NoIovad(self):
        self.assertIn("does not know iovad", shown(None, {**a_sample(), "iovad": False, "names": [], "domains": {}}))


class FakeProcess:
    """Answers as DPDK does."""

    def __init__(self, folder, prefix="rte", answers=None):
        self.path = Path(folder, prefix, telemetry.SOCKET)
        self.path.parent.mkdir()
        self.answers = {"/iovad/list": ["nic0"], **(answers or {})}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                with peer:
                    peer.send(json.dumps({"version": "DPDK 0", "pid": 1, "max_output_len": 16384}).encode())
                    while request := peer.recv(1024).decode():
                        if request == "/end":
                            break
                        command = request.split(",")[0]
                        peer.send(json.dumps({command: self.answers.get(request)}).encode())

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Client(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def start(self, *args, **options):
        process = FakeProcess(self.folder.name, *args, **options)
        self.addCleanup(lambda: contextlib.suppress(OSError) and process.listener.close())
        return process

    def choose(self, prefix=None):
        return telemetry.choose_socket(Path(self.folder.name), prefix)

    def test_FindsTheOnlyProcess(self):
        process = self.start()
        self.assertEqual(self.choose(), process.path)

    def test_SeveralNeedAPrefix(self):
        self.start("one")
        two = self.start("two")
        with self.assertRaisesRegex(telemetry.Trouble, "--file-prefix: one, two"):
            self.choose()
        self.assertEqual(self.choose("two"), two.path)
        self.assertEqual(self.choose("two:1"), Path(f"{two.path}:1"))

    def test_TheDeadDoNotCount(self):
        dead, living = self.start("dead"), self.start("living")
        dead.close()
        self.assertEqual(self.choose(), living.path)

    def test_NobodyIsThere(self):
        with self.assertRaisesRegex(telemetry.Gone, "no DPDK process"):
            self.choose()

    def test_WhatIsNoSocket(self):
        Path(self.folder.name, "file").write_text("", encoding="utf-8")
        for name in ("file", "nothing"):
            with self.assertRaises(telemetry.Gone):
                telemetry.Connection(Path(self.folder.name, name))

    def test_AsksAndIsToldNull(self):
        with telemetry.Connection(self.start(answers={"/iovad/info,nic0": {"granule": 1}}).path) as connection:
            self.assertEqual(connection.ask("/iovad/info", "nic0"), {"granule": 1})
            self.assertIsNone(connection.ask("/iovad/info", "nic1"))

    def test_TheEndIsNoticed(self):
        with telemetry.Connection(self.start().path) as connection:
            with self.assertRaises(telemetry.Gone):
                connection.ask("/end")

    def test_CachesInSeveralAnswers(self):
        whole = caches_of(5)
        parts = [{key: value[i:i + 4] if key.startswith("lcore_") else value for key, value in whole.items()}
                 for i in (0, 4)]
        answers = {"/iovad/caches,nic0": parts[0], "/iovad/caches,nic0,4": parts[1]}
        with telemetry.Connection(self.start(answers=answers).path) as connection:
            self.assertEqual(sample.caches(connection, "nic0"), whole)

    def answers(self, buckets):
        domain = a_sample()["domains"]["nic0"]
        return {"/iovad/info,nic0": domain["info"], "/iovad/stats,nic0": domain["stats"],
                "/iovad/caches,nic0": domain["caches"], f"/iovad/map,nic0,{buckets}": domain["map"],
                "/iovad/control": CONTROL, "/iovad/bounce": ["gone", "tx"], "/iovad/bounce,tx": POOL}

    def test_WatchesAndComesBack(self):
        process = self.start(answers=self.answers(79))
        watch = Watch(Path(self.folder.name))
        watch.take(79)
        self.assertIn("nic0", watch.after["domains"])
        process.close()
        process.path.unlink()
        process.path.parent.rmdir()
        watch.disconnect()
        with self.assertRaises(telemetry.Gone):
            watch.take(79)
        self.start(answers=self.answers(79))
        watch.take(79)
        self.assertIsNotNone(watch.before)

    def program(self, *options):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            args = ["iovad-top", *options]
            before, sys.argv = sys.argv, args
            try:
                status = top.main()
            finally:
                sys.argv = before
        return status, out.getvalue(), err.getvalue()

    def test_JsonHasAll(self):
        process = self.start(answers=self.answers(256))
        status, out, _ = self.program("--socket", str(process.path), "--json", "--interval", "0.05")
        self.assertEqual(status, 0)
        document = json.loads(out)
        self.assertEqual(set(document), {"time", "interval", "pid", "version", "command", "control", "domains", "bounce"})
        self.assertEqual(document["bounce"]["tx"]["rates"]["maps"], 0)
        self.assertEqual(set(document["domains"]["nic0"]), {"info", "stats", "caches", "map", "rates"})
        self.assertEqual(document["domains"]["nic0"]["rates"]["allocs"], 0)

    def test_ADomainThatIsNotThere(self):
        process = self.start(answers=self.answers(256))
        status, _, err = self.program("--socket", str(process.path), "--json", "--interval", "0.05", "--domain", "nic9")
        self.assertEqual(status, 1)
        self.assertIn("no domain nic9; there are: nic0", err)

    def test_AProcessWithoutIovad(self):
        process = self.start(answers={"/iovad/list": None})
        status, _, err = self.program("--socket", str(process.path), "--once", "--interval", "0.05")
        self.assertEqual((status, "does not know iovad" in err), (1, True))

    def test_WhatisOfEachDomainOrOne(self):
        found = {"domain": "nic0", "address": 0x2fff, "state": "free", "first": 0x1000, "last": 0x2fff, "above": "live",
                 "above_first": 0x3000, "above_last": 0x3fff, "above_distance": 1, "history": ["  freed by lcore 1"]}
        answers = {"/iovad/list": ["nic1", "nic0"], "/iovad/whatis,nic0,0x2fff": found,
                   "/iovad/whatis,nic1,0x2fff": {"domain": "nic1", "address": 0x2fff, "state": "outside"}}
        process = self.start(answers=answers)
        for options, names in (((), ["nic0", "nic1"]), (("--domain", "nic1"), ["nic1"])):
            line = "DMAR: [DMA Read] Request device [03:00.0] fault addr 0x2fff [fault reason 0x06] PTE Read access is not set"
            status, out, _ = self.program("--socket", str(process.path), "--whatis", line, *options)
            self.assertEqual((status, re.findall(r"^(\w+): 0x2fff: ", out, re.MULTILINE)), (0, names))
            status, out, _ = self.program("--socket", str(process.path), "--whatis", "0x2fff", "--json", *options)
            self.assertEqual((status, [answer["domain"] for answer in json.loads(out)]), (0, names))
        status, _, err = self.program("--socket", str(process.path), "--whatis", "1", "--domain", "nic9")
        self.assertEqual((status, "no domain nic9; there are: nic0, nic1" in err), (1, True))

    def test_WhatisWhereNobodyKnows(self):
        process = self.start(answers={"/iovad/list": None})
        status, _, err = self.program("--socket", str(process.path), "--whatis", "0x2fff")
        self.assertEqual((status, "has no domain now" in err), (1, True))


class Whatis(unittest.TestCase):
    def test_AddressesInLinesOfLogs(self):
        for line, address in (
                ("DMAR: [DMA Write NO_PASID] Request device [03:00.0] fault addr 0xfffe1000 [fault reason 0x05] PTE Write", 0xfffe1000),
                ("DMAR: DMAR:[DMA Read] Request device [03:00.0] fault addr fffe1000 \nDMAR:[fault reason 06]", 0xfffe1000),
                ("AMD-Vi: Event logged [IO_PAGE_FAULT device=03:00.0 domain=0x0011 address=0xfffe1000 flags=0x0020]", 0xfffe1000),
                ("arm-smmu 5000000.iommu: Unhandled context fault: fsr=0x402, iova=0xfffe1000, fsynr=0x1, cb=2", 0xfffe1000),
                ("0xfffe1000", 0xfffe1000), ("4096", 4096), ("0", 0)):
            self.assertEqual(whatis.address_in(line), address, line)
        for text in ("", "nic0", "DMAR: no fault", "-1", "0x10000000000000000"):
            self.assertRaises(argparse.ArgumentTypeError, whatis.address_in, text)

    def test_ForPeople(self):
        answer = {"domain": "nic0", "address": 0x1010, "state": "mapped", "first": 0x1000, "last": 0x1fff, "va": 0x7f0010,
                  "dir": ["to_device", "from_device"], "below": "reserved", "below_first": 0, "below_last": 0xfff,
                  "below_distance": 17, "history": ["  mapped: 0x1000, 4096 bytes by lcore 1", "    main+0x3"]}
        self.assertEqual(whatis.lines(answer), [
            "nic0: 0x1010: mapped", "  in       0x1000 - 0x1fff, 4 KiB", "  memory   0x7f0010, to device and from device",
            "  below    0x0 - 0xfff, 4 KiB: reserved, 17 B away", "  history",
            "    mapped: 0x1000, 4096 bytes by lcore 1", "      main+0x3"])
        self.assertIn("IOVAD_DEBUG=on", "\n".join(whatis.lines({"domain": "a", "address": 1, "state": "free"})))
        slot = {"domain": "a", "address": 1, "state": "bounce", "pool": "tx", "slot": "mapped", "history": []}
        self.assertIn("bounce pool, tx: a slot that is mapped", whatis.lines(slot)[0])


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    tests = [test for group in suite for test in group]
    for number, test in enumerate(tests, 1):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            result = test.run(unittest.TestResult())
        why = "".join(text for _, text in result.failures + result.errors)
        print(f"{'ok' if result.wasSuccessful() else 'not ok'} {number} - {test.id().removeprefix('__main__.')}")
        for line in why.splitlines():
            print(f"#   {line}")
    print(f"1..{len(tests)}")


if __name__ == "__main__":
    main()
