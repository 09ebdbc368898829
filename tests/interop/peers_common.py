"""What the cases against the reference implementation stand on: its programs, the three relays, sound it can read, and who may
call whom. "rust" is the reference's newest version, "seed" the old one that defined the direct-call flow, "our" is ours.

The reference's programs are built outside this project; environment variables name them (docs/interop.md). What its
command-line client can show: its --signal mode places, takes and ends calls, but sends silence and hears nothing; its rooms
play and record. Its senders pass everything through AGC and RNNoise and leave silence out, so what they say has no pauses
and is held to a lower bound. Rejecting, addresses, the race and Codec2 need WZP_PEER_HARNESS, a program on the reference's
libraries."""
import json
import os
import pathlib
import re
import signal
import subprocess

import registry
from gateway import Relay, colons
from harness import LOOPBACK, Client, Events, Program, expect, free_port, judge, make_speech, wait_until

PEER_PROGRAMS = ("WZP_PEER_RELAY", "WZP_PEER_CLIENT", "WZP_PEER_ANALYZER", "WZP_PEER_SEED_RELAY", "WZP_PEER_SEED_CLIENT",
                 "WZP_PEER_HARNESS")
CALLER_SEED, CALLEE_SEED = "aa" * 32, "bb" * 32

# Without a pause: the reference does not send silence, and its recorder puts together what is left.
SPEECH = "we were away a year ago when our new union owner arrived and all our young men ran along an iron railway line"
OTHER_SPEECH = "the quick brown fox jumps over the lazy dog while she sells sea shells by the sea shore and boxes quietly"
TALK_S = 3                  # of a call without judged sound
FRAMES_PER_SECOND = 50


# The reference's programs


def peer(one, name, variable, *arguments, on_line=None):
    """Starts a program of the reference with a home directory of its own; in the network of the case, if it has one."""
    home = one.directory / "home"
    home.mkdir(exist_ok=True)
    return Program(one, name, [*getattr(one, "prefix", ()), os.environ[variable], *arguments], on_line=on_line,
                   env={"HOME": str(home), "NO_COLOR": "1", "RUST_BACKTRACE": "0"}, is_helper=True)


def logged(program, text, seconds=15):
    wait_until(f"{program.name} to say {text!r}", seconds, lambda: text in program.log())


def logged_once(program, text):
    times = program.log().count(text)
    expect(times == 1, f"{program.name} said {text!r} {times} times")


def interrupt(program):
    program.process.send_signal(signal.SIGINT)


CLIENTS = {"rust": "WZP_PEER_CLIENT", "seed": "WZP_PEER_SEED_CLIENT"}


def rust_client(one, name, relay, *arguments, era="rust"):
    return peer(one, name, CLIENTS[era], *arguments, relay)


class Harness:
    """A peer on the reference's libraries: takes part in the race, rejects, speaks any codec, loses packets on purpose. Its
    command line is described in docs/interop.md; each line it prints is an event."""

    def __init__(self, one, name, relay, *arguments, seed=CALLEE_SEED):
        self.events = Events()
        self.name = name
        self.trace_path = one.directory / f"{name}.trace"
        self.program = peer(one, name, "WZP_PEER_HARNESS", "--relay", relay, "--seed", seed, "--trace", self.trace_path,
                            *arguments, on_line=self._line)

    def _line(self, line):
        try:
            self.events.add(json.loads(line))
        except ValueError:
            pass  # a panic's text, kept in the log

    def wait(self, kind, seconds=10):
        return self.events.wait(f"{kind} at {self.name}", seconds, lambda event: event.get("event") == kind)

    def last(self, kind):
        found = [event for event in self.events.all() if event.get("event") == kind]
        return found[-1] if found else None

    def registered(self):
        return self.wait("registered")["fingerprint"]

    def signals(self, direction):
        """Messages it sent ("tx") or got ("rx"), in order."""
        lines = [json.loads(line) for line in self.trace_path.read_text().splitlines()]
        return [json.loads(line["signal"]) for line in lines if line["dir"] == direction and "signal" in line]


# Relays: they answer the same questions: where, and how many datagrams of one sender were forwarded


class OurRelay:
    label = "our_relay"
    declined = "Declined"

    def __init__(self, one, host=LOOPBACK):
        self.relay = Relay(one)
        self.address = self.relay.address = f"{host}:{self.relay.port}"
        self.relay.start()


class RustRelay:
    label = "the_rust_relay"
    variable = "WZP_PEER_RELAY"
    declined = "Normal"  # what it makes of an answer that rejects

    def __init__(self, one, host=LOOPBACK):
        self.address = f"{host}:{free_port()}"
        self.program = peer(one, self.label.replace("_", "-"), self.variable, "--listen", self.address)
        logged(self.program, "Listening for connections")

    def forwarded(self):
        """For each that left a room: how many of its datagrams the relay forwarded."""
        return [int(count) for count in re.findall(r"disconnected.*forwarded=(\d+)", self.program.log())]


class SeedRelay(RustRelay):
    label = "the_seed_relay"
    variable = "WZP_PEER_SEED_RELAY"


RELAYS = (OurRelay, RustRelay, SeedRelay)

# A network of its own where addresses are public ones, as nobody advertises a loopback address. All of PUBLIC_NET is local
# there, and who binds nothing speaks from PUBLIC_HOST.
PUBLIC_HOST = "203.0.113.1"
PUBLIC_NET = f"{PUBLIC_HOST}/24"
PUBLIC_CASES = set()        # names of the cases that want it


def add_case(name, function, relay):
    """A case of the name, function(one, relay) with relay made first."""
    def run(one):
        function(one, relay(one))
    registry.CASES.append(registry.Entry(name, run, False, False))


def add_public_case(name, function, relay):
    """The same with public addresses."""
    add_case(name, function, lambda one: relay(one, PUBLIC_HOST))
    PUBLIC_CASES.add(name)


def at_each_relay(function):
    """Three cases of one: function(one, relay)."""
    for kind in RELAYS:
        add_case(f"{function.__name__}_at_{kind.label}", function, kind)
    return function


def fingerprint_of(one, seed_hex):
    """Our own derivation: that the peer answers to it is part of each test."""
    seed = one.directory / f"seed-{seed_hex[:2]}"
    seed.write_text(seed_hex + "\n")
    seed.chmod(0o600)
    relay = Relay(one, name=f"relay-{seed_hex[:2]}").start()
    client = Client(one, f"identity-{seed_hex[:2]}", ["register"], relay=relay.address, seed=seed)
    fingerprint = client.registered()
    client.program.stop()
    relay.program.stop()
    return colons(fingerprint)


# Sound


def fluent_speech(one, text=SPEECH, name="said"):
    """WAV and the same as the raw file that the reference reads."""
    wav = make_speech(one.directory / f"{name}.wav", text, lead_s=0, tail_s=0)
    raw = one.directory / f"{name}.raw"
    subprocess.run(["sox", str(wav), "-t", "raw", str(raw)], check=True)
    return wav, raw


def raw_to_wav(path):
    """The reference records raw 48 kHz mono."""
    path = pathlib.Path(path)
    wav = path.with_suffix(".wav")
    subprocess.run(["sox", "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", str(path), str(wav)], check=True)
    return wav


def expect_similar(one, sent, got, least, what):
    verdict = judge(one, "compare", sent, got)
    one.note(f"{what}: similarity {verdict['similarity']:.3f} (at least {least:.2f}), longest drop-out "
             f"{verdict['longest_dropout_ms']:.0f} ms")
    expect(verdict["similarity"] >= least, f"{what}: {verdict}")
