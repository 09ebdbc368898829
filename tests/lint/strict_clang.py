#!/usr/bin/env python3
"""Every source file of a configured build through clang, warnings as errors, without making code: the second compiler's
opinion for a tenth of a build's time. One test a file would drown the totals, so the whole is one test."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DROPPED = ("-c", "-fno-sanitize-recover=all")


def clang_command(entry):
    """The compile command of compile_commands.json with clang in gcc's place and no output."""
    words = shlex.split(entry["command"])
    while not words[0].endswith(("gcc", "cc", "clang")):
        words.pop(0)  # ccache
    kept, skip = [], False
    for word in words[1:]:
        if skip or word in DROPPED or word.startswith("-fsanitize"):
            skip = False
        elif word == "-o":
            skip = True
        else:
            kept.append(word)
    # A text over several lines inside a table is no forgotten comma.
    return ["clang", *kept, "-Werror", "-Wno-string-concatenation", "-fsyntax-only"]


def check(entry):
    done = subprocess.run(clang_command(entry), cwd=entry["directory"], capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/strict")
    args = parser.parse_args()
    entries = json.loads((ROOT / args.build / "compile_commands.json").read_text())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        complaints = [text for text in pool.map(check, entries) if text]
    for text in complaints:
        print(text)
    if complaints:
        print(f"FAIL clang: {len(complaints)} of {len(entries)} files have warnings or errors")
        return 1
    print(f"ok clang  {len(entries)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
