#!/usr/bin/env python3
"""Runs the interop cases: the real programs with real phones on loopback. Prints "ok NAME" or "FAIL NAME: reason" for each.

A case is a function marked with @case in a cases_*.py file beside this one; its name tells the story. Cases run a few at a
time, since most of their time is speech being spoken; those marked alone=True measure load and run by themselves at the
end. The files of a failed case stay in build/interop/<case>/."""
import argparse
import importlib
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from registry import CASES  # noqa: E402
from runner import choose, run_all, run_case  # noqa: E402

AT_ONCE = 3

for source in sorted(pathlib.Path(__file__).resolve().parent.glob("cases_*.py")):
    importlib.import_module(source.stem)


def run(entry, args):
    return run_case(entry, args.fast_bin if entry.fast and args.fast_bin else args.bin, "interop")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/asan/bin", help="programs under test")
    parser.add_argument("--fast-bin", help="an optimised build for the cases that measure load")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("case", nargs="*", help="names, or parts of them; default: all")
    args = parser.parse_args()

    chosen = choose(args.case)
    if args.list or not chosen:
        print("\n".join(entry.name for entry in CASES))
        return 0 if args.list else 1
    return 0 if run_all(lambda entry: run(entry, args), chosen, args.at_once) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
