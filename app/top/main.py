#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Shows what the domains of a running DPDK process do: iovad's telemetry, once a second.

On the screen: q quits, arrows and Tab switch domains. Exit status: 0; 1 where no process
answers, or has not what was asked for; 2 for bad arguments.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # the folder may be root's
import panels  # noqa: E402
import sample  # noqa: E402
from telemetry import Connection, Trouble, runtime_folder, sockets  # noqa: E402
import whatis  # noqa: E402
from watch import Watch, command_of  # noqa: E402



def seconds(text):
    value = float(text)
    if not 0.05 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text}: from 0.05 to 3600")
    return value


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(prog="iovad-top", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--file-prefix", metavar="P",
                       help="of the process, as it was given to EAL; needed where several run")
    where.add_argument("--socket", metavar="PATH", type=Path, help="of its telemetry, where it is somewhere else")
    parser.add_argument("--domain", metavar="NAME", help="to begin with; the only one with --once and --json")
    parser.add_argument("--interval", metavar="S", type=seconds, default=1.0, help="seconds from sample to sample (1)")
    parser.add_argument("--whatis", metavar="ADDRESS-OR-LOG-LINE", type=whatis.address_in,
                        help="say what this address is, or the one in this line of a kernel's log, to --domain or to each; "
                             "goes with --json")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="write what the screen shows after one interval, and end")
    how.add_argument("--json", action="store_true", help="write all there is as one JSON document, and end")
    how.add_argument("--list", action="store_true", help="write which processes there are, with their domains")
    args = parser.parse_args(arguments)
    if args.whatis is not None and (args.once or args.list):
        parser.error("argument --whatis: not allowed with --once and --list")
    return args


def list_processes(folder):
    found = sockets(folder)
    if not found:
        raise Trouble(f"no DPDK process answers in {folder}")
    for prefix, path in found.items():
        try:
            with Connection(path) as connection:
                names = connection.ask("/iovad/list")
                pid = connection.greeting["pid"]
        except Trouble as trouble:
            print(f"{prefix}: {trouble}")
            continue
        said = "no iovad" if names is None else ", ".join(sorted(names)) or "no domain"
        print(f"{prefix}: pid {pid} {command_of(pid)}: {said}")


def take_two(watch, args, width):
    """So that there are rates."""
    names = [args.domain] if args.domain else None
    watch.take(width, names)
    time.sleep(args.interval)
    watch.take(width, names)
    if not watch.after["iovad"]:
        raise Trouble("the process does not know iovad: it has not loaded libiovad")
    if args.domain and args.domain not in watch.after["domains"]:
        raise Trouble(f"no domain {args.domain}; there are: {', '.join(watch.after['names']) or 'none'}")


def write_once(watch, args):
    width = shutil.get_terminal_size((80, 24)).columns
    take_two(watch, args, width)
    glyphs = panels.Glyphs((sys.stdout.encoding or "").upper() == "UTF-8")
    print(panels.text(panels.report(watch.before, watch.after, watch.command, glyphs, width), width))


def write_json(watch, args):
    take_two(watch, args, sample.MOST_BUCKETS)
    for name, domain in watch.after["domains"].items():
        domain["rates"] = sample.rates(watch.before, watch.after, name)
    for name, pool in watch.after["bounce"].items():
        pool["rates"] = sample.pool_rates(watch.before, watch.after, name)
    document = {**watch.after, "command": watch.command, "interval": watch.after["time"] - watch.before["time"],
                "time": time.time()}
    del document["iovad"], document["names"]
    json.dump(document, sys.stdout, indent=2)
    print()


def write_whatis(watch, args):
    watch.connect()
    answers = whatis.ask(watch.connection, args.whatis, args.domain)
    if args.json:
        json.dump(answers, sys.stdout, indent=2)
        print()
    else:
        print("\n\n".join("\n".join(whatis.lines(answer)) for answer in answers))


def run(args):
    folder = runtime_folder()
    if args.list:
        list_processes(folder)
        return
    watch = Watch(folder, args.file_prefix, args.socket)
    if args.whatis is not None:
        write_whatis(watch, args)
    elif args.once:
        write_once(watch, args)
    elif args.json:
        write_json(watch, args)
    else:
        watch.connect()  # no screen where nobody is there
        import terminal  # curses is not everywhere
        terminal.show(watch, args)


def main():
    args = parse_arguments()
    try:
        run(args)
        sys.stdout.flush()
    except Trouble as trouble:
        print(f"iovad-top: {trouble}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
