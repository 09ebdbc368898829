#!/usr/bin/env python3
"""Runs the interop cases: the real programs with real phones on loopback. Prints "ok NAME" or "FAIL NAME: reason" for each.

A case is a function marked with @case in a cases_*.py file beside this one; its name tells the story. Cases run a few at a
time, since most of their time is speech being spoken; those marked alone=True measure load and run by themselves at the
end. The files of a failed case stay in build/interop/<case>/."""
import argparse
import concurrent.futures
import importlib
import pathlib
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import ROOT, Case, Failure  # noqa: E402
from registry import CASES  # noqa: E402

AT_ONCE = 3

for source in sorted(pathlib.Path(__file__).resolve().parent.glob("cases_*.py")):
    importlib.import_module(source.stem)


def run_case(entry, args):
    bins = args.fast_bin if entry.fast and args.fast_bin else args.bin
    directory = ROOT / "build" / "interop" / entry.name
    start = time.monotonic()
    try:
        with Case(bins, directory) as one:
            entry.function(one)
            notes = "; ".join(one.notes)
        text = f"ok {entry.name}  {time.monotonic() - start:.1f} s{'; ' + notes if notes else ''}"
        passed = True
    except Failure as failure:
        text, passed = f"FAIL {entry.name}: {failure} (logs in build/interop/{entry.name})", False
    except Exception:  # a mistake in the case itself is a failure like any other
        print(traceback.format_exc(), file=sys.stderr)
        text, passed = f"FAIL {entry.name}: {traceback.format_exc().strip().splitlines()[-1]}", False
    print(text.replace("\n", " | "), flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/asan/bin", help="programs under test")
    parser.add_argument("--fast-bin", help="an optimised build for the cases that measure load")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("case", nargs="*", help="names, or parts of them; default: all")
    args = parser.parse_args()

    chosen = [entry for entry in CASES if not args.case or any(part in entry.name for part in args.case)]
    if args.list or not chosen:
        print("\n".join(entry.name for entry in CASES))
        return 0 if args.list else 1
    together = [entry for entry in chosen if not entry.alone]
    results = []
    pool = concurrent.futures.ThreadPoolExecutor(args.at_once)
    try:
        results += pool.map(lambda entry: run_case(entry, args), together)
    finally:
        pool.shutdown(cancel_futures=True)
    results += [run_case(entry, args) for entry in chosen if entry.alone]
    return 0 if all(results) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
