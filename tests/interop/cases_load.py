"""Many calls in a short time: each answered, each torn down, none lost, nothing leaked."""
import csv
import os

from gateway import Gateway
from harness import LOOPBACK, ROOT, Program, expect, free_port, wait_until
from registry import case

SCENARIO = ROOT / "tests" / "interop" / "sipp" / "uac_echo.xml"


def open_descriptors(program):
    return len(os.listdir(f"/proc/{program.process.pid}/fd"))


def sipp_calls(one, calls, per_second):
    gateway = Gateway(one, users=[{"name": "alice", "max_calls": 2 * calls}], rtp_ports=2 * calls + 20,
                      relay_settings={"max_sessions": 4 * calls}, log={"level": "info"}).start()
    before = open_descriptors(gateway.program)
    users = one.directory / "users.csv"
    users.write_text(f"SEQUENTIAL\nalice;[authentication username=alice password={gateway.password('alice')}]\n")
    stats = one.directory / "sipp.csv"
    program = Program(one, "sipp", [
        "sipp", f"{LOOPBACK}:{gateway.sip_port}", "-sf", SCENARIO, "-inf", users, "-s", "*43", "-i", LOOPBACK,
        "-p", free_port(), "-m", calls, "-r", per_second, "-l", calls, "-d", 1000,
        "-nostdin", "-trace_stat", "-stf", stats, "-fd", 1, "-trace_err", "-error_file", one.directory / "sipp.err",
        "-timeout", 90, "-timeout_error"])
    status = program.wait(120)
    rows = list(csv.DictReader(stats.open(), delimiter=";"))
    done, failed = int(rows[-1]["SuccessfulCall(C)"]), int(rows[-1]["FailedCall(C)"])
    expect(status == 0 and done == calls and failed == 0,
           f"{done} of {calls} calls went through, {failed} failed, sipp ended with {status}")
    wait_until("every call to be torn down", 10, lambda: all(call["ended_us"] for call in gateway.calls()))
    totals = gateway.ctl("stats")["calls"]
    expect(totals["answered"] == calls, f"the gateway answered {totals['answered']} of {calls}")
    health = gateway.ctl("health")
    expect(health.get("ready"), f"the gateway is not well afterwards: {health}")
    wait_until("descriptors to be closed", 5, lambda: open_descriptors(gateway.program) <= before + 2)
    one.note(f"{done} of {calls} calls at {per_second}/s")


@case(alone=True)
def fifty_sipp_calls_under_the_sanitizers(one):
    sipp_calls(one, 50, 5)


@case(alone=True, fast=True)
def two_hundred_sipp_calls_at_twenty_a_second(one):
    sipp_calls(one, 200, 20)
