#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The checks of examples/testpmd: each of them can fail. What it has to judge is made up here,
from what a real run wrote. Prints TAP."""

import contextlib
import io
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True  # the source may be somebody else's
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples/testpmd"))
import session  # noqa: E402
import testpmd  # noqa: E402
import witnesses  # noqa: E402

LIMIT = 0xffffffff
VA, IOVA, LENGTH, MBUFS = 0x10197c300, 0xfdb7c300, 19414272, 8192
SAID = """testpmd: preferred mempool ops selected: iovad
IOVAD_MEMPOOL: pool mb_pool_0: 0x10197c300, 19414272 bytes, is 0xfdb7c300 for devices
MBUFS: pool mb_pool_0: of 8192
MBUFS: pool mb_pool_0: 8192 buffers, 0x10197c3c0 - 0x102bff0ff, are at 0xfdb7c3c0
domain mempool: 0x1000 - 0x7fffffffff, granule 4096 bytes
  live 1 ranges, 19415040 bytes; cached 0; reserved 0 bytes; quarantined 0 bytes; mapped 1, unmapped 0, errors 0
  0x0000fdb7c000 - 0x0000fedfffff   18960 KiB  live  -> 0x10197c000, rw"""
# The kernel's trial of large pages, EAL's memory, the pool; and the ends of all three.
TRACE = """# tracer: nop
    dpdk-testpmd-165   [001] .....     6.01: map: IOMMU: iova=0x0000000000000000 - 0x0000000000002000 paddr=0x1 size=8192
    dpdk-testpmd-165   [001] .....     6.02: unmap: IOMMU: iova=0x0000000000000000 - 0x0000000000001000 size=4096 unmapped_size=4096
    dpdk-testpmd-165   [001] .....     6.03: unmap: IOMMU: iova=0x0000000000001000 - 0x0000000000002000 size=4096 unmapped_size=4096
    dpdk-testpmd-165   [001] d..1.     6.04: map: IOMMU: iova=0x0000000100200000 - 0x0000000100400000 paddr=0x1 size=2097152
    dpdk-testpmd-165   [001] ..s1.     6.05: map: IOMMU: iova=0x00000000ffff0000 - 0x00000000ffff1000 paddr=0x1 size=4096
    dpdk-testpmd-165   [001] .....     6.06: map: IOMMU: iova=0x00000000fdb7c000 - 0x00000000fdc00000 paddr=0x1 size=540672
    dpdk-testpmd-165   [001] .....     6.07: map: IOMMU: iova=0x00000000fdc00000 - 0x00000000fee00000 paddr=0x1 size=18874368
    dpdk-testpmd-165   [000] .....     9.01: unmap: IOMMU: iova=0x00000000fdb7c000 - 0x00000000fee00000 size=19415040 unmapped_size=19415040
    dpdk-testpmd-165   [000] .....     9.02: unmap: IOMMU: iova=0x0000000100200000 - 0x0000000100400000 size=2097152 unmapped_size=2097152
"""
FAULT = "[ 9.1] DMAR: [DMA Read NO_PASID] Request device [00:03.0] fault addr 0xbfda8000 [fault reason 0x06] PTE Read access is not set"
PORTS = {0: {"RX": 1000, "TX": 1000}, 1: {"RX": 1000, "TX": 1000}}


def judge(said=SAID, ports=None, trace=TRACE, lost=0, faults=(3, 3), options=()):
    args = session.parse_arguments(["--nics", "a,b", "--build", "/b", "--witness", "/w", *options])
    events = None if trace is None else witnesses.events_in(trace)
    return session.judge(args, said.splitlines(), PORTS if ports is None else ports, 1.0, events, lost, faults)


class Session(unittest.TestCase):
    def wrong(self, words, **evidence):
        problems = judge(**evidence)["problems"]
        self.assertTrue(any(words in problem for problem in problems), f"no '{words}' in {problems}")

    def test_AgreesWithARunThatWasRight(self):
        result = judge()
        self.assertEqual(result["problems"], [])
        self.assertEqual((result["mbufs"], result["page_tables"], result["kernel_events"]), (8192, 1, 8))

    def test_APoolAboveTheLimit(self):
        self.wrong("above the limit", options=["--limit", "0xfedffffe"], said=SAID.replace("19414272", "19414528"))

    def test_APoolThatTheKernelDidNotMap(self):
        self.wrong("iovad says", trace=TRACE.replace("fdb7c000", "fdb7d000"))

    def test_AMappingThatIovadDidNotTellOf(self):
        self.wrong("iovad says", trace=TRACE.replace("..s1.", "....."))

    def test_WhatInterruptsMapIsNotOurs(self):
        self.assertNotIn(("map", 0xffff0000, 0xffff1000), witnesses.events_in(TRACE))

    def test_APoolThatStaysMapped(self):
        self.wrong("left 0xfdb7c000-0xfedfffff mapped", trace=TRACE.replace("9.01: unmap", "9.01: nothing"))

    def test_AMappingAboveTheLimitThatStays(self):
        self.wrong("left 0x100200000-0x1003fffff mapped", trace=TRACE.replace("9.02: unmap", "9.02: nothing"))

    def test_AnUnmapThatUnmapsLess(self):
        self.wrong("left 0xfdb7d000-0xfedfffff mapped", trace=TRACE.replace("unmapped_size=19415040", "unmapped_size=4096"))

    def test_AMappingAfterTheUnmap(self):
        again = TRACE + TRACE.splitlines()[6] + "\n"
        self.wrong("left 0xfdb7c000-0xfdbfffff mapped", trace=again)

    def test_AnUnmapOfWhatIsNot(self):
        self.wrong("which it had not mapped", trace=TRACE + TRACE.splitlines()[8] + "\n")

    def test_EventsThatWereLost(self):
        self.wrong("events of the kernel were lost", lost=1)

    def test_TwoPageTablesMayHaveTheSame(self):
        twice = "\n".join(line for line in TRACE.splitlines() for _ in range(2))
        result = judge(trace=twice)
        self.assertEqual((result["problems"], result["page_tables"]), ([], 2))

    def test_NoEventsAreSaid(self):
        self.assertIsNone(judge(trace=None)["kernel_events"])

    def test_AFault(self):
        self.wrong("the IOMMU refused 1 accesses", faults=(3, 4))

    def test_ALogThatCannotBeRead(self):
        self.wrong("cannot be read", faults=(None, None))

    def test_FaultsThatTheKernelLeftOutCount(self):
        log = f"{FAULT}\n[ 14.2] dmar_fault: 31 callbacks suppressed\n[1.] other\n{FAULT}"
        self.assertEqual(witnesses.faults_in(log), 33)

    def test_TooFewPackets(self):
        for port, key in ((0, "RX"), (1, "TX")):
            ports = {p: dict(c) for p, c in PORTS.items()}
            ports[port][key] = 999
            self.wrong(f"port {port}: {key} 999 packets", ports=ports, options=["--at-least", "1000"])

    def test_NoPackets(self):
        self.wrong("port 0: RX 0 packets", ports={0: {}, 1: {}})

    def test_APortThatIsMissing(self):
        self.wrong("1 ports", ports={0: PORTS[0]})

    def test_ADriverThatSaysNothing(self):
        self.wrong("did not say what it mapped", said="testpmd> quit")

    def test_MbufsElsewhere(self):
        self.wrong("iovad did not give them", said=SAID.replace("are at 0xfdb7c3c0", "are at 0x10197c3c0"))

    def test_MbufsBeyondTheirMemory(self):
        self.wrong("iovad did not give them", said=SAID.replace("0x102bff0ff", "0x102c01fff"))

    def test_MbufsThatNobodySaw(self):
        self.wrong("8,191 of 8,192", said=SAID.replace("8192 buffers", "8191 buffers"))
        self.wrong("nobody looked", said="\n".join(x for x in SAID.splitlines() if not x.startswith("MBUFS")))

    def test_ADomainThatCountsOtherwise(self):
        self.wrong("the domain has", said=SAID.replace("errors 0", "errors 1"))
        self.wrong("the domain has", said=SAID.replace("mapped 1,", "mapped 2,"))
        self.wrong("the domain did not say", said=SAID.replace("  live 1", "live 1"))

    def test_WhatIovadComplainsOf(self):
        self.wrong("stays mapped", said=SAID + "\nIOVAD_MEMPOOL: pool mb_pool_0: 0x10197c300 stays mapped: busy")


class Conversation(unittest.TestCase):
    """With a program that behaves as testpmd does, or not."""

    def start(self, code):
        return testpmd.Testpmd([sys.executable, "-c", code], None, False)

    def test_AnAnswerIsWhatComesBeforeTheNextPrompt(self):
        with self.start("print('testpmd> ', end='', flush=True); x = input(); print('one\\ntwo');"
                        "print('testpmd> ', end='', flush=True); input(); print('Bye...')") as pmd:
            pmd.wait_for(testpmd.PROMPT, 60)
            self.assertEqual(pmd.ask("count")[-2:], ["one", "two"])
            pmd.end()
            self.assertIn("Bye...", pmd.lines[-1])

    def test_ItsEndIsNoticed(self):
        with self.start("print('no huge pages')") as pmd:
            with self.assertRaisesRegex(testpmd.Trouble, "ended before it said.*\n.*no huge pages"):
                pmd.wait_for(testpmd.PROMPT, 60)

    def test_SoIsItsStatus(self):
        with self.start("input(); exit(3)") as pmd:
            with self.assertRaisesRegex(testpmd.Trouble, "status 3"):
                pmd.end()

    def test_SilenceIsNoticed(self):
        with self.start("input()") as pmd:
            with self.assertRaisesRegex(testpmd.Trouble, "did not say"):
                pmd.wait_for(testpmd.PROMPT, 0.1)

    def test_CountsOfAllPorts(self):
        said = ["  #### NIC statistics for port 0  ####", "  RX-packets: 175007     RX-missed: 0",
                "  TX-packets: 130080     TX-errors: 0", "  #### NIC statistics for port 1  ####",
                "  RX-packets: 7  RX-missed: 0"]
        self.assertEqual(testpmd.port_counts(said), {0: {"RX": 175007, "TX": 130080}, 1: {"RX": 7}})


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
