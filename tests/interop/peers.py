#!/usr/bin/env python3
"""Our programs against the unmodified reference implementation, each pairing a test. The reference programs are built outside
this project; WZP_PEER_RELAY and WZP_PEER_CLIENT name them, WZP_PEER_ANALYZER adds a passive listener to one case.

What the reference can show: its --signal mode places, takes and ends calls but neither plays nor records; its rooms do both.
Its room audio passes an AGC and a noise suppressor, so tones are judged by frequency and speech only printed."""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import registry  # noqa: E402
from gateway import Gateway, Relay, answering_client, colons  # noqa: E402
from harness import (LOOPBACK, Client, Phone, Program, expect, expect_speech, free_port, judge, make_speech,  # noqa: E402
                     wait_until, wav_seconds)
from registry import case  # noqa: E402
from run import run_case  # noqa: E402

CALLER_SEED, CALLEE_SEED = "aa" * 32, "bb" * 32


def peer(one, name, variable, *arguments):
    """Starts a program of the reference with a home directory of its own."""
    home = one.directory / "home"
    home.mkdir(exist_ok=True)
    return Program(one, name, [os.environ[variable], *arguments],
                   env={"HOME": str(home), "NO_COLOR": "1", "RUST_BACKTRACE": "0"})


def logged(program, text, seconds=15):
    wait_until(f"{program.name} to say {text!r}", seconds, lambda: text in program.log())


def interrupt(program):
    program.process.send_signal(signal.SIGINT)


def rust_relay(one):
    address = f"{LOOPBACK}:{free_port()}"
    relay = peer(one, "rust-relay", "WZP_PEER_RELAY", "--listen", address)
    logged(relay, "Listening for connections")
    return address, relay


def rust_client(one, name, relay, *arguments):
    return peer(one, name, "WZP_PEER_CLIENT", *arguments, relay)


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


def raw_to_wav(path):
    """The reference records raw 48 kHz mono."""
    wav = path.with_suffix(".wav")
    subprocess.run(["sox", "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", str(path), str(wav)], check=True)
    return wav


def room_of_rust_clients(one, relay, *sender_arguments):
    """One records, the other sends; the recording as WAV."""
    raw = one.directory / "recording.raw"
    recorder = rust_client(one, "rust-recorder", relay, "--room", "demo", "--record", raw)
    logged(recorder, "crypto handshake complete")
    sender = rust_client(one, "rust-sender", relay, "--room", "demo", *sender_arguments)
    expect(sender.wait(30) == 0, "the sender failed")
    time.sleep(1)  # its last datagrams
    interrupt(recorder)
    expect(recorder.wait(15) == 0, "the recorder failed")
    expect(raw.exists() and raw.stat().st_size > 0, "nothing was recorded")
    return raw_to_wav(raw)


@case
def our_relay_carries_a_tone_between_two_rust_clients(one):
    relay = Relay(one).start()
    verdict = judge(one, "tone", room_of_rust_clients(one, relay.address, "--send-tone", "3"), 440)
    expect(abs(verdict["peak_hz"] - 440) < 3 and verdict["snr_db"] > 10, f"heard {verdict}")
    one.note(f"440 Hz at {verdict['snr_db']:.0f} dB")


@case
def our_relay_carries_speech_between_two_rust_clients(one):
    said = make_speech(one.directory / "said.wav")
    raw = one.directory / "said.raw"
    subprocess.run(["sox", str(said), "-t", "raw", str(raw)], check=True)
    relay = Relay(one).start()
    verdict = judge(one, "compare", said, room_of_rust_clients(one, relay.address, "--send-file", raw))
    one.note(f"similarity {verdict['similarity']:.3f} through its AGC and noise suppressor")
    expect(verdict["similarity"] > 0.5, f"heard something else: {verdict}")


@case
def rust_relay_carries_speech_between_our_clients(one):
    said = make_speech(one.directory / "said.wav")
    relay, _ = rust_relay(one)
    recording = one.directory / "heard.wav"
    listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=relay)
    time.sleep(1)
    seconds = str(wav_seconds(said) + 1)
    speaker = Client(one, "speaker", ["room", "demo", "--play", said, "--duration", seconds], relay=relay)
    expect(speaker.program.wait(40) == 0, "the speaker failed")
    listener.program.stop()
    expect_speech(one, said, recording, "room at the Rust relay")


@case
def rust_client_hears_our_client_in_a_room_of_our_relay(one):
    relay = Relay(one).start()
    raw = one.directory / "recording.raw"
    recorder = rust_client(one, "rust-recorder", relay.address, "--room", "demo", "--record", raw)
    logged(recorder, "crypto handshake complete")
    speaker = Client(one, "speaker", ["room", "demo", "--tone", "440", "--duration", "4"], relay=relay.address)
    expect(speaker.program.wait(30) == 0, "our client failed")
    time.sleep(0.5)
    interrupt(recorder)
    expect(recorder.wait(15) == 0, "the recorder failed")
    verdict = judge(one, "tone", raw_to_wav(raw), 440)
    expect(abs(verdict["peak_hz"] - 440) < 3 and verdict["snr_db"] > 10, f"it heard {verdict}")


@case
def our_client_hears_a_rust_client_in_a_room_of_our_relay(one):
    relay = Relay(one).start()
    recording = one.directory / "heard.wav"
    listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=relay.address)
    time.sleep(1)
    sender = rust_client(one, "rust-sender", relay.address, "--room", "demo", "--send-tone", "3")
    expect(sender.wait(30) == 0, "the Rust client failed")
    listener.program.stop()
    verdict = judge(one, "tone", recording, 440)
    expect(abs(verdict["peak_hz"] - 440) < 3 and verdict["snr_db"] > 10, f"it heard {verdict}")


def rust_clients_call(one, relay):
    caller_fingerprint, callee_fingerprint = fingerprint_of(one, CALLER_SEED), fingerprint_of(one, CALLEE_SEED)
    expect(caller_fingerprint != callee_fingerprint, "two seeds, one fingerprint")
    callee = rust_client(one, "rust-callee", relay, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    caller = rust_client(one, "rust-caller", relay, "--signal", "--seed", CALLER_SEED, "--call", callee_fingerprint)
    logged(caller, "media connected")
    logged(callee, "media connected")
    return caller, callee


@case
def our_relay_brokers_a_call_of_rust_clients_and_the_caller_hangs_up(one):
    relay = Relay(one).start()
    caller, callee = rust_clients_call(one, relay.address)
    interrupt(caller)
    logged(caller, "call ended")
    logged(callee, "remote hung up")
    logged(callee, "call ended")


@case
def our_relay_brokers_a_call_of_rust_clients_and_the_callee_hangs_up(one):
    relay = Relay(one).start()
    caller, callee = rust_clients_call(one, relay.address)
    interrupt(callee)
    logged(callee, "call ended")
    logged(caller, "remote hung up")


@case
def our_clients_call_each_other_at_the_rust_relay(one):
    said = make_speech(one.directory / "said.wav")
    relay, _ = rust_relay(one)
    recording = one.directory / "heard.wav"
    callee = Client(one, "callee", ["answer", "--accept", "trusted", "--record", recording], relay=relay)
    target = callee.registered()
    caller = Client(one, "caller", ["call", target, "--play", said, "--duration", str(wav_seconds(said) + 1)], relay=relay)
    caller.wait("ringing")
    setup = caller.wait("setup")
    expect("peer_direct_addr" in setup, "setup event without peer_direct_addr")
    expect(caller.program.wait(40) == 0, "the caller failed")
    callee.wait("ended")
    callee.program.wait(15)
    expect_speech(one, said, recording, "call at the Rust relay")


@case
def our_client_calls_a_rust_client_and_hangs_up(one):
    relay = Relay(one).start()
    fingerprint = fingerprint_of(one, CALLEE_SEED)
    callee = rust_client(one, "rust-callee", relay.address, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    caller = Client(one, "caller", ["call", fingerprint, "--tone", "440", "--duration", "2"], relay=relay.address)
    caller.wait("setup")
    logged(callee, "media connected")
    expect(caller.program.wait(20) == 0, "our client failed")
    logged(callee, "call ended")


@case
def rust_client_calls_our_client_and_hangs_up(one):
    relay = Relay(one).start()
    callee = Client(one, "callee", ["answer", "--echo"], relay=relay.address)
    target = callee.registered()
    caller = rust_client(one, "rust-caller", relay.address, "--signal", "--seed", CALLER_SEED, "--call", colons(target))
    logged(caller, "media connected")
    callee.wait("setup")
    interrupt(caller)
    logged(caller, "call ended")
    callee.wait("ended")


@case
def phone_calls_our_client_through_the_rust_relay(one):
    said = make_speech(one.directory / "said.wav")
    relay, _ = rust_relay(one)
    gateway = Gateway(one, relay=relay).start()
    client = answering_client(one, gateway)
    phone = Phone(one, "phone", said).register(gateway, "alice")
    phone.call(client.fingerprint.replace(":", ""))
    client.wait("setup")
    time.sleep(wav_seconds(said) + 0.8)
    phone.hang_up()
    client.wait("ended")
    client.program.wait(10)
    expect_speech(one, said, client.recording, "phone to client over the Rust relay")


@case
def our_client_calls_a_phone_through_the_rust_relay(one):
    said = make_speech(one.directory / "said.wav")
    relay, _ = rust_relay(one)
    gateway = Gateway(one, relay=relay).start()
    phone = Phone(one, "phone").register(gateway, "alice", codecs=("opus",))
    client = Client(one, "carol", ["call", gateway.fingerprint("alice"), "--play", said], relay=relay)
    client.wait("setup")
    phone.wait("CALL_ESTABLISHED")
    time.sleep(wav_seconds(said) + 0.8)
    phone.hang_up()
    client.wait("ended")
    expect_speech(one, said, phone.recorded(), "client to phone over the Rust relay")


@case
def phone_calls_a_rust_client_and_hangs_up(one):
    gateway = Gateway(one).start()
    fingerprint = fingerprint_of(one, CALLEE_SEED)
    callee = rust_client(one, "rust-callee", gateway.relay, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    phone = Phone(one, "phone").register(gateway, "alice")
    setup_ms = phone.call(fingerprint.replace(":", ""))
    logged(callee, "media connected")
    wait_until("packets of the Rust client", 10, lambda: gateway.last_call()["media"]["wzp_rx"] > 3)
    phone.hang_up()
    logged(callee, "call ended")
    ended = gateway.ended_call()
    expect(ended["cause"] == "normal", f"cause {ended['cause']}")
    one.note(f"set-up {setup_ms:.0f} ms")


@case
def rust_client_calls_a_phone_and_hangs_up(one):
    gateway = Gateway(one).start()
    phone = Phone(one, "phone").register(gateway, "alice")
    caller = rust_client(one, "rust-caller", gateway.relay, "--signal", "--seed", CALLER_SEED,
                         "--call", colons(gateway.fingerprint("alice")))
    phone.wait("CALL_ESTABLISHED", 15)
    logged(caller, "media connected")
    wait_until("packets of the Rust client", 10, lambda: gateway.last_call()["media"]["wzp_rx"] > 3)
    interrupt(caller)
    phone.wait("CALL_CLOSED")
    logged(caller, "call ended")


@case
def rust_version_check_and_our_small_questions_are_answered(one):
    ours = Relay(one).start()
    asked = rust_client(one, "rust-version", ours.address, "--version-check")
    expect(asked.wait(15) == 0, f"its version check at our relay failed: {asked.log().strip()[-300:]}")
    one.note("it reads " + asked.log().strip().splitlines()[-1].split()[-1])
    theirs, _ = rust_relay(one)
    for command in ("version", "ping", "reflect"):
        one.run(f"our-{command}", [one.bins / "wzp-client", "--relay", theirs, "--seed-file", one.directory / "seed", command])


@case
def rust_analyzer_hears_a_room_of_our_relay(one):
    relay = Relay(one).start()
    speaker = Client(one, "speaker", ["room", "demo", "--tone", "440", "--duration", "8"], relay=relay.address)
    time.sleep(1)
    analyzer = peer(one, "rust-analyzer", "WZP_PEER_ANALYZER", relay.address, "--room", "demo", "--no-tui",
                    "--duration", "4")
    expect(analyzer.wait(20) == 0, "the analyzer failed")
    expect("0.0% loss" in analyzer.log(), f"it says {analyzer.log().strip()[-300:]}")
    speaker.program.wait(20)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/asan/bin", help="programs under test")
    parser.add_argument("case", nargs="*", help="names, or parts of them; default: all")
    args = parser.parse_args()
    args.fast_bin = None
    chosen = [entry for entry in registry.CASES if entry.function.__module__ == "__main__"
              and (not args.case or any(part in entry.name for part in args.case))
              and ("analyzer" not in entry.name or os.environ.get("WZP_PEER_ANALYZER"))]
    results = [run_case(entry, args) for entry in chosen]
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
