#!/usr/bin/env python3
"""Runs the cases of the NAT laboratory: the real programs in network namespaces that this program makes, behind NATs of every
kind. Prints "ok NAME" or "FAIL NAME: reason" for each; lab.py draws the network.

Wants root, or user namespaces and a /dev/net/tun that everybody may open; and nft. The files of a failed case stay in
build/nat/<case>/."""
import argparse
import importlib
import os
import pathlib
import shutil
import signal
import stat
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "interop")]

from registry import CASES  # noqa: E402
from runner import choose, run_all, run_case  # noqa: E402

AT_ONCE = 4
PRIORITY = -10
TUN = "/dev/net/tun"
NEEDS_TOOLS = ("ip", "nft", "unshare")

for source in sorted(HERE.glob("cases_*.py")):
    importlib.import_module(source.stem)


def enter_own_network():
    """Runs this program again where it may make interfaces and disturbs nobody's, and where whatever it has started ends with
    it, as it is the first process there."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.environ["WZP_NAT_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", *as_root, "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                          sys.executable, __file__, *sys.argv[1:]])


def ask_for_the_processor():
    """Speech is judged in real time, and a packet has a program more to pass than on a real network. It is little work."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    except PermissionError:
        pass


def provide_tun():
    """A minimal machine or a container may have the driver without its device file."""
    if os.geteuid() == 0 and not os.path.exists(TUN):
        os.makedirs(os.path.dirname(TUN), exist_ok=True)
        os.mknod(TUN, stat.S_IFCHR | 0o600, os.makedev(10, 200))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/asan/bin", help="programs under test")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("case", nargs="*", help="names, or parts of them; default: all")
    args = parser.parse_args()
    chosen = choose(args.case)
    if args.list or not chosen:
        print("\n".join(entry.name for entry in CASES))
        return 0 if args.list else 1
    missing = [tool for tool in NEEDS_TOOLS if not shutil.which(tool)]
    provide_tun()
    if missing or not os.access(TUN, os.R_OK | os.W_OK):
        print(f"FAIL nat: it needs {', '.join(missing) or 'access to ' + TUN}")
        return 1
    if "WZP_NAT_INSIDE" not in os.environ:
        enter_own_network()
    ask_for_the_processor()
    return 0 if run_all(lambda entry: run_case(entry, args.bin, "nat"), chosen, args.at_once) else 1


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(143))
    sys.exit(main())
