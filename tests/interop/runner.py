"""Choosing and running the cases of the registry, for every program that has such cases; a verdict a line."""
import concurrent.futures
import sys
import time
import traceback

from harness import ROOT, Case, Failure
from registry import CASES


def choose(parts):
    """The cases whose names hold one of these parts; without parts, all."""
    return [entry for entry in CASES if not parts or any(part in entry.name for part in parts)]


def run_case(entry, bins, suite):
    """Prints "ok NAME" or "FAIL NAME: reason"; True when it passed. The files of a failed case stay in build/SUITE/NAME/."""
    start = time.monotonic()
    try:
        with Case(bins, ROOT / "build" / suite / entry.name) as one:
            entry.function(one)
        notes = "; ".join(one.notes)
        text, passed = f"ok {entry.name}  {time.monotonic() - start:.1f} s{'; ' + notes if notes else ''}", True
    except Failure as failure:
        text, passed = f"FAIL {entry.name}: {failure} (logs in build/{suite}/{entry.name})", False
    except Exception:  # a mistake in the case itself is a failure like any other
        print(traceback.format_exc(), file=sys.stderr)
        text, passed = f"FAIL {entry.name}: {traceback.format_exc().strip().splitlines()[-1]}", False
    print(text.replace("\n", " | "), flush=True)
    return passed


def run_all(run, entries, at_once):
    """Runs these cases, so many at a time and then, one by one, those that want to be alone; True when all passed."""
    pool = concurrent.futures.ThreadPoolExecutor(at_once)
    try:
        results = list(pool.map(run, [entry for entry in entries if not entry.alone]))
    finally:
        pool.shutdown(cancel_futures=True)
    results += [run(entry) for entry in entries if entry.alone]
    return all(results)
