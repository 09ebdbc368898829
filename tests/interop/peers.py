#!/usr/bin/env python3
"""Our programs against the unmodified reference implementation, each pairing a case of the peers_*.py files beside this one.
Prints "ok NAME" or "FAIL NAME: reason" for each. The files of a failed case stay in build/interop/<case>/."""
import argparse
import importlib
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

for source in sorted(pathlib.Path(__file__).resolve().parent.glob("peers_*.py")):
    importlib.import_module(source.stem)

from peers_common import PEER_PROGRAMS, PUBLIC_CASES, PUBLIC_NET  # noqa: E402
from runner import choose, run_all, run_case  # noqa: E402

AT_ONCE = 2


def run_cases(chosen, args):
    return run_all(lambda entry: run_case(entry, args.bin, "interop"), chosen, args.at_once)


def run_in_public_network(chosen, args):
    """Runs this program again, for these cases, in a network of its own."""
    enter = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    done = subprocess.run([*enter, sys.executable, __file__, "--public", "--bin", args.bin, "--at-once", str(args.at_once),
                           *(entry.name for entry in chosen)])
    return done.returncode == 0


def make_public_network():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", PUBLIC_NET, "dev", "lo"], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/asan/bin", help="programs under test")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--public", action="store_true", help=argparse.SUPPRESS)  # we are in a network of our own
    parser.add_argument("case", nargs="*", help="names, or parts of them; default: all")
    args = parser.parse_args()
    chosen = choose(args.case)
    if args.list:
        print("\n".join(entry.name for entry in chosen))
        return 0
    missing = [name for name in PEER_PROGRAMS if not os.access(os.environ.get(name, ""), os.X_OK)]
    if missing:
        print(f"FAIL peers: {', '.join(missing)} must name the programs of the reference implementation (docs/interop.md)")
        return 1
    if args.public:
        make_public_network()
        return 0 if run_cases([entry for entry in chosen if entry.name in PUBLIC_CASES], args) else 1
    local = [entry for entry in chosen if entry.name not in PUBLIC_CASES]
    public = [entry for entry in chosen if entry.name in PUBLIC_CASES]
    results = [run_cases(local, args), not public or run_in_public_network(public, args)]
    return 0 if chosen and all(results) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
