#!/usr/bin/env python3
"""Runs the tests named by their labels, or the default ones, and ends with one line "N passed, N failed".

./dev test calls it after it has installed what is missing. A test that cannot run counts as failed and says why: nothing
is skipped in silence. Programs of the labels print "ok NAME" and "FAIL NAME: reason" lines, which are counted here.
"""
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
JOBS = os.cpu_count() or 2

CTEST_LABELS = ("unit", "sim", "property", "vectors", "fuzz", "bench")
DEFAULT_LABELS = CTEST_LABELS + ("lint", "strict", "interop")
# What a change must pass before it lands; soak and peers need more time or programs from outside.
CI_LABELS = DEFAULT_LABELS + ("nat", "docker")
LATER_LABELS = ("pbx", "packages", "soak")


class Totals:
    """What passed and what failed, and why."""

    def __init__(self):
        self.passed = 0
        self.failures = []

    def ok(self, name, detail=""):
        self.passed += 1
        print(f"ok {name}{'  ' + detail if detail else ''}", flush=True)

    def fail(self, name, reason):
        self.failures.append((name, reason))
        print(f"FAIL {name}: {reason}", flush=True)


def say(text):
    print(f"==> {text}", flush=True)


def run_quietly(command, log, **options):
    """Exit status of a command whose output goes to the file log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        return subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, **options).returncode


def last_lines(log, count=25):
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


class Builds:
    """Builds each preset at most once in a run; a failed build is one failed test."""

    def __init__(self, totals):
        self.totals = totals
        self.done = {}

    def get(self, label, preset, targets=()):
        """True when the preset (or these targets of it) is built; else the label, which needs it, has failed too."""
        built = self._get(preset, targets)
        if not built:
            self.totals.fail(label, f"not run, since preset {preset} does not build")
        return built

    def _get(self, preset, targets):
        key = (preset, targets)
        if (preset, ()) in self.done:
            key = (preset, ())
        if key not in self.done:
            self.done[key] = self._build(preset, targets)
        return self.done[key]

    def _build(self, preset, targets):
        start = time.monotonic()
        say(f"building {preset}{' ' + ' '.join(targets) if targets else ''}")
        log = BUILD / f"{preset}.log"
        name = f"build/{preset}"
        if not (BUILD / preset / "build.ninja").exists():
            if run_quietly(["cmake", "--preset", preset], log):
                print(last_lines(log))
                self.totals.fail(name, f"cmake could not configure it, see {log.relative_to(ROOT)}")
                return False
        command = ["cmake", "--build", str(BUILD / preset), "--", "-k", "0"] + list(targets)
        if run_quietly(command, log):
            lines = [line for line in log.read_text(errors="replace").splitlines()
                     if re.search(r"error:|warning:|undefined reference|FAILED", line)]
            print("\n".join(lines[:40]) or last_lines(log))
            self.totals.fail(name, f"it does not compile, see {log.relative_to(ROOT)}")
            return False
        self.totals.ok(name, f"{time.monotonic() - start:.0f} s")
        return True


def run_ctest(labels, totals, builds):
    if not builds.get(" ".join(labels), "asan"):
        return
    say(f"ctest: {' '.join(labels)}")
    tests = json.loads(subprocess.run(
        ["ctest", "--test-dir", str(BUILD / "asan"), "--show-only=json-v1"],
        check=True, capture_output=True).stdout)["tests"]
    for label in labels:
        if not any(label in labels_of(test) for test in tests):
            totals.fail(label, "there is no test with this label")
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=0", UBSAN_OPTIONS="print_stacktrace=1")
    pattern = "^(" + "|".join(labels) + ")$"
    process = subprocess.Popen(
        ["ctest", "--test-dir", str(BUILD / "asan"), "-L", pattern, "-j", str(JOBS), "--output-on-failure"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment, cwd=ROOT)
    verdict = re.compile(r"^\s*\d+/\d+ Test\s+#\d+: (\S+) \.+\**\s*(Passed|.*?)\s+([\d.]+) sec")
    for line in process.stdout:
        found = verdict.match(line)
        if found and found[2] == "Passed":
            totals.ok(found[1], f"{found[3]} s")
        elif found:
            totals.fail(found[1], found[2].strip("* ").lower())
        elif not re.match(r"^\s*(Start\s+\d+:|Test project|$|Label Time|The following|\s*\d+ - |Errors while|Total Test|"
                          r"\d+% tests|\S+\s+=\s+[\d.]+ sec)", line):
            print("    " + line, end="", flush=True)
    process.wait()


def labels_of(test):
    for prop in test.get("properties", []):
        if prop["name"] == "LABELS":
            return prop["value"]
    return []


def run_script(label, command, totals, limit_s):
    """Runs a program that prints ok and FAIL lines; its other lines are passed on."""
    say(f"{label}: {shlex.join(command)}")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace", cwd=ROOT,
                               start_new_session=True)
    watch = threading.Timer(limit_s, stop_group, [process])
    watch.start()
    start = time.monotonic()
    seen = failed = 0
    try:
        for line in process.stdout:
            line = line.rstrip("\n")
            if line.startswith("ok "):
                totals.ok(label + "/" + line[3:])
                seen += 1
            elif line.startswith("FAIL "):
                name, _, reason = line[5:].partition(": ")
                totals.fail(label + "/" + name, reason)
                seen += 1
                failed += 1
            else:
                print("    " + line, flush=True)
        status = process.wait()
    finally:
        watch.cancel()
        stop_group(process)
    if time.monotonic() - start >= limit_s:
        totals.fail(label, f"stopped after its limit of {limit_s} s")
    elif status != 0 and not failed:
        totals.fail(label, f"ended with status {status}")
    elif seen == 0:
        totals.fail(label, "it reported no test")


def stop_group(process):
    """Ends a script that was started here, with the session it leads."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run_lint(totals, builds):
    if builds.get("lint", "strict", ("wzp_core", "gw")):
        run_script("lint", [sys.executable, "tests/lint/lint.py", "--build", "build/strict"], totals, 300)


def run_strict(totals, builds):
    """The whole tree without a warning: gcc builds it optimised, clang checks it without making code."""
    if builds.get("strict/clang", "strict"):
        run_script("strict", [sys.executable, "tests/lint/strict_clang.py", "--build", "build/strict"], totals, 600)


def run_interop(totals, builds):
    if builds.get("interop", "asan") and builds.get("interop", "strict"):
        run_script("interop", [sys.executable, "tests/interop/run.py", "--bin", "build/asan/bin",
                               "--fast-bin", "build/strict/bin"], totals, 600)


def run_nat(totals, builds):
    if subprocess.run(["./dev", "setup", "build", "test", "nat"], cwd=ROOT).returncode:
        totals.fail("nat", "its packages could not be installed")
    elif builds.get("nat", "asan"):
        run_script("nat", [sys.executable, "tests/nat/run.py", "--bin", "build/asan/bin"], totals, 600)


def run_docker(totals, builds):
    if subprocess.run(["./dev", "setup", "build", "test", "docker"], cwd=ROOT).returncode:
        totals.fail("docker", "its packages could not be installed")
    elif builds.get("docker", "strict"):
        run_script("docker", [sys.executable, "tests/docker/run.py", "--bin", "build/strict/bin"], totals, 900)


def run_peers(totals, builds):
    missing = [name for name in ("WZP_PEER_RELAY", "WZP_PEER_CLIENT", "WZP_PEER_ANALYZER", "WZP_PEER_SEED_RELAY",
                                 "WZP_PEER_SEED_CLIENT", "WZP_PEER_HARNESS") if not os.environ.get(name)]
    if missing:
        totals.fail("peers", f"{', '.join(missing)} must name the programs of the reference implementation (docs/interop.md)")
    elif builds.get("peers", "asan"):
        run_script("peers", [sys.executable, "tests/interop/peers.py", "--bin", "build/asan/bin"], totals, 1800)


SCRIPTS = {"lint": run_lint, "strict": run_strict, "interop": run_interop, "nat": run_nat,
           "docker": run_docker, "peers": run_peers}


def main(labels):
    if labels == ["ci"]:
        labels = list(CI_LABELS)
    labels = labels or list(DEFAULT_LABELS)
    start = time.monotonic()
    totals = Totals()
    builds = Builds(totals)
    for label in labels:
        if label in LATER_LABELS:
            totals.fail(label, "no test with this label exists yet")
        elif label not in CTEST_LABELS and label not in SCRIPTS:
            totals.fail(label, f"unknown label; there are {' '.join(CTEST_LABELS + tuple(SCRIPTS))}")
    try:
        ctest_labels = [label for label in labels if label in CTEST_LABELS]
        if ctest_labels:
            run_ctest(ctest_labels, totals, builds)
        for label in labels:
            if label in SCRIPTS:
                SCRIPTS[label](totals, builds)
    except KeyboardInterrupt:
        totals.fail("run", "interrupted")
    if totals.failures:
        say("failed:")
        for name, reason in totals.failures:
            print(f"  {name}: {reason}")
    say(f"{time.monotonic() - start:.0f} s")
    print(f"{totals.passed} passed, {len(totals.failures)} failed")
    return 1 if totals.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
