#!/usr/bin/env python3
"""Our programs against the unmodified reference implementation ("Rust" in the names), each pairing a test. The reference
programs are built outside this project; WZP_PEER_RELAY, WZP_PEER_CLIENT and WZP_PEER_ANALYZER name them.

What the reference can show: its --signal mode places, takes and ends calls, but sends silence and hears nothing; its rooms
play and record. Its senders pass everything through AGC and RNNoise and leave silence out, so what they say has no pauses
and is held to a lower bound. docs/interop.md tells the rest."""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import registry  # noqa: E402
import warp  # noqa: E402
from gateway import Gateway, Relay, answering_client, colons  # noqa: E402
from harness import (LOOPBACK, Client, Phone, Program, expect, expect_speech, free_port, judge,  # noqa: E402
                     make_speech, wait_until, wav_seconds)
from registry import case  # noqa: E402
from run import run_case  # noqa: E402

PEER_PROGRAMS = ("WZP_PEER_RELAY", "WZP_PEER_CLIENT", "WZP_PEER_ANALYZER")
CALLER_SEED, CALLEE_SEED = "aa" * 32, "bb" * 32

# Without a pause: the reference does not send silence, and its recorder puts together what is left.
SPEECH = "we were away a year ago when our new union owner arrived and all our young men ran along an iron railway line"
OTHER_SPEECH = "the quick brown fox jumps over the lazy dog while she sells sea shells by the sea shore and boxes quietly"
MIN_SIMILARITY_AGC = 0.85   # speech that went through the reference's AGC and noise suppressor
MIN_WARPED = 0.75           # spectra of speech at the reference sender's own pace, see warp.py
MIN_ABOVE_CONTROL = 0.15    # and how much nearer than other speech
TALK_S = 3                  # of a call without judged sound
FRAMES_PER_SECOND = 50


# The reference's programs


def peer(one, name, variable, *arguments):
    """Starts a program of the reference with a home directory of its own."""
    home = one.directory / "home"
    home.mkdir(exist_ok=True)
    return Program(one, name, [os.environ[variable], *arguments],
                   env={"HOME": str(home), "NO_COLOR": "1", "RUST_BACKTRACE": "0"}, is_helper=True)


def logged(program, text, seconds=15):
    wait_until(f"{program.name} to say {text!r}", seconds, lambda: text in program.log())


def logged_once(program, text):
    times = program.log().count(text)
    expect(times == 1, f"{program.name} said {text!r} {times} times")


def interrupt(program):
    program.process.send_signal(signal.SIGINT)


def rust_client(one, name, relay, *arguments):
    return peer(one, name, "WZP_PEER_CLIENT", *arguments, relay)


class OurRelay:
    """Both relays answer the same questions: where, and how many datagrams of one sender were forwarded."""

    label = "our_relay"
    declined = "Declined"

    def __init__(self, one):
        self.relay = Relay(one).start()
        self.address = self.relay.address


class RustRelay:
    label = "the_rust_relay"
    declined = "Normal"  # what it makes of an answer that rejects

    def __init__(self, one):
        self.address = f"{LOOPBACK}:{free_port()}"
        self.program = peer(one, "rust-relay", "WZP_PEER_RELAY", "--listen", self.address)
        logged(self.program, "Listening for connections")

    def forwarded(self):
        """For each that left a room: how many of its datagrams the relay forwarded."""
        return [int(count) for count in re.findall(r"disconnected.*forwarded=(\d+)", self.program.log())]


def at_both_relays(function):
    """Two cases of one: function(one, relay)."""
    for kind in (OurRelay, RustRelay):
        def run(one, kind=kind):
            function(one, kind(one))
        run.__module__ = __name__
        registry.CASES.append(registry.Entry(f"{function.__name__}_at_{kind.label}", run, False, False))
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
    wav = path.with_suffix(".wav")
    subprocess.run(["sox", "-t", "raw", "-r", "48000", "-e", "signed", "-b", "16", "-c", "1", str(path), str(wav)], check=True)
    return wav


def expect_similar(one, sent, got, least, what):
    verdict = judge(one, "compare", sent, got)
    one.note(f"{what}: similarity {verdict['similarity']:.3f} (at least {least:.2f}), longest drop-out "
             f"{verdict['longest_dropout_ms']:.0f} ms")
    expect(verdict["similarity"] >= least, f"{what}: {verdict}")


# Rooms


def rust_recorder(one, relay):
    raw = one.directory / "recording.raw"
    recorder = rust_client(one, "rust-recorder", relay.address, "--room", "demo", "--record", raw)
    logged(recorder, "crypto handshake complete")
    return recorder, raw


def finish_recording(recorder, raw):
    time.sleep(1)  # the last datagrams
    interrupt(recorder)
    expect(recorder.wait(15) == 0, "the recorder failed")
    expect(raw.exists() and raw.stat().st_size > 0, "nothing was recorded")
    return raw_to_wav(raw)


@at_both_relays
def rust_client_hears_the_speech_of_a_rust_client(one, relay):
    """At the Rust relay nothing of this is ours: it is the measure for the same case at our relay."""
    said, said_raw = fluent_speech(one)
    recorder, raw = rust_recorder(one, relay)
    sender = rust_client(one, "rust-sender", relay.address, "--room", "demo", "--send-file", said_raw)
    expect(sender.wait(60) == 0, "the sender failed")
    expect_similar(one, said, finish_recording(recorder, raw), MIN_SIMILARITY_AGC, "AGC and noise suppressor between")


@at_both_relays
def rust_client_hears_the_tone_of_a_rust_client(one, relay):
    recorder, raw = rust_recorder(one, relay)
    sender = rust_client(one, "rust-sender", relay.address, "--room", "demo", "--send-tone", "3")
    expect(sender.wait(30) == 0, "the sender failed")
    verdict = judge(one, "tone", finish_recording(recorder, raw), 440)
    one.note(f"{verdict['peak_hz']:.1f} Hz, {verdict['snr_db']:.0f} dB")
    expect(abs(verdict["peak_hz"] - 440) < 3 and verdict["snr_db"] > 10, f"heard {verdict}")


@at_both_relays
def our_client_hears_our_client_in_a_room(one, relay):
    said = make_speech(one.directory / "said.wav")
    recording = one.directory / "heard.wav"
    listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=relay.address)
    listener.wait("media_up")
    speaker = Client(one, "speaker", ["room", "demo", "--play", said, "--duration", str(wav_seconds(said) + 1)],
                     relay=relay.address)
    expect(speaker.program.wait(40) == 0, "the speaker failed")
    listener.program.stop()
    expect_speech(one, said, recording, "room")


@at_both_relays
def rust_client_hears_the_speech_of_our_client(one, relay):
    said = make_speech(one.directory / "said.wav")
    recorder, raw = rust_recorder(one, relay)
    speaker = Client(one, "speaker", ["room", "demo", "--play", said, "--duration", str(wav_seconds(said) + 0.5)],
                     relay=relay.address)
    expect(speaker.program.wait(40) == 0, "our client failed")
    expect_speech(one, said, finish_recording(recorder, raw), "our client to the Rust client")


@at_both_relays
def our_client_hears_the_speech_of_a_rust_client(one, relay):
    said, said_raw = fluent_speech(one)
    other, _ = fluent_speech(one, OTHER_SPEECH, "other")
    recording = one.directory / "heard.wav"
    listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=relay.address)
    listener.wait("media_up")
    started = time.monotonic()
    sender = rust_client(one, "rust-sender", relay.address, "--room", "demo", "--send-file", said_raw)
    expect(sender.wait(60) == 0, "the Rust client failed")
    took_s = time.monotonic() - started
    listener.program.stop()
    media = listener.last("media")
    expect(media["lost"] == 0 and media["undecodable"] == 0, f"our client counted {media}")
    expect(media["rx"] > 0.9 * wav_seconds(said) * FRAMES_PER_SECOND, f"only {media['rx']} packets came")
    heard, control = warp.similarity(said, recording), warp.similarity(other, recording)
    one.note(f"{media['rx']} packets, none lost; {wav_seconds(said):.1f} s of speech sent in {took_s:.1f} s; warped "
             f"similarity {heard:.3f} (at least {MIN_WARPED:.2f}), of other speech {control:.3f}")
    expect(heard >= MIN_WARPED and heard >= control + MIN_ABOVE_CONTROL,
           f"warped similarity {heard:.3f}, of other speech {control:.3f}")


# Calls


def rust_clients_call(one, relay):
    caller_fingerprint, callee_fingerprint = fingerprint_of(one, CALLER_SEED), fingerprint_of(one, CALLEE_SEED)
    expect(caller_fingerprint != callee_fingerprint, "two seeds, one fingerprint")
    callee = rust_client(one, "rust-callee", relay.address, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    caller = rust_client(one, "rust-caller", relay.address, "--signal", "--seed", CALLER_SEED, "--call", callee_fingerprint)
    logged(caller, "ringing")
    logged(caller, "media connected")
    logged(callee, "media connected")
    return caller, callee


@case
def our_relay_brokers_a_call_of_rust_clients_and_the_caller_hangs_up(one):
    caller, callee = rust_clients_call(one, OurRelay(one))
    interrupt(caller)
    logged(caller, "call ended")
    logged(callee, "remote hung up")
    logged(callee, "call ended")
    logged_once(callee, "remote hung up")


@case
def our_relay_brokers_a_call_of_rust_clients_and_the_callee_hangs_up(one):
    caller, callee = rust_clients_call(one, OurRelay(one))
    interrupt(callee)
    logged(callee, "call ended")
    logged(caller, "remote hung up")
    logged(caller, "call ended")
    logged_once(caller, "remote hung up")


@case
def our_relay_tells_a_rust_client_that_the_callee_is_not_there(one):
    relay = OurRelay(one)
    caller = rust_client(one, "rust-caller", relay.address, "--signal", "--seed", CALLER_SEED,
                         "--call", fingerprint_of(one, CALLEE_SEED))
    logged(caller, "call ended by remote")


@case
def our_clients_call_each_other_at_the_rust_relay(one):
    said = make_speech(one.directory / "said.wav")
    relay = RustRelay(one)
    recording = one.directory / "heard.wav"
    callee = Client(one, "callee", ["answer", "--accept", "trusted", "--record", recording], relay=relay.address)
    target = callee.registered()
    caller = Client(one, "caller", ["call", target, "--play", said, "--duration", str(wav_seconds(said) + 1)],
                    relay=relay.address)
    caller.wait("ringing")
    setup = caller.wait("setup")
    expect("peer_direct_addr" in setup, "setup event without peer_direct_addr")
    expect(caller.program.wait(40) == 0, "the caller failed")
    callee.wait("ended")
    callee.program.wait(15)
    expect_speech(one, said, recording, "call at the Rust relay")


def our_client_calls_rust(one, relay, seconds=None):
    """Our client, the Rust client, when both are in the call."""
    fingerprint = fingerprint_of(one, CALLEE_SEED)
    callee = rust_client(one, "rust-callee", relay.address, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    duration = ["--duration", str(seconds)] if seconds else []
    caller = Client(one, "caller", ["call", fingerprint, "--tone", "440", *duration], relay=relay.address)
    caller.wait("ringing")
    caller.wait("setup")
    caller.wait("media_up")
    logged(callee, "media connected")
    return caller, callee


def expect_media_of_a_call(client):
    """The reference sends five packets of silence and then comfort noise, three or four a second."""
    media = client.last("media")
    expect(media["undecodable"] == 0, f"packets that our client could not read: {media}")
    expect(media["rx"] > 5, f"our client heard {media['rx']} packets")
    expect(media["tx"] > 0.8 * TALK_S * FRAMES_PER_SECOND, f"our client sent {media['tx']} packets")


def expect_forwarded(one, relay, client):
    """The Rust relay's word: it forwarded each datagram our client had sent."""
    if isinstance(relay, RustRelay):
        sent = client.last("media")["tx"]
        wait_until(f"the relay to count the {sent} datagrams of our client", 5,
                   lambda: any(abs(count - sent) <= 2 for count in relay.forwarded()))
        one.note(f"{sent} datagrams sent, the relay forwarded {max(relay.forwarded())}")


@at_both_relays
def our_client_calls_a_rust_client_and_hangs_up(one, relay):
    caller, callee = our_client_calls_rust(one, relay, TALK_S)
    expect(caller.program.wait(20) == 0, "our client failed")
    logged(callee, "call ended")
    logged_once(callee, "remote hung up")
    expect_media_of_a_call(caller)
    expect_forwarded(one, relay, caller)


@at_both_relays
def our_client_calls_a_rust_client_that_hangs_up(one, relay):
    caller, callee = our_client_calls_rust(one, relay)
    time.sleep(TALK_S)
    interrupt(callee)
    ended = caller.wait("ended")
    expect(ended["reason"] == "normal" and ended["by_peer"], f"our client says {ended}")
    expect(caller.program.wait(10) == 0, "our client failed")
    expect_media_of_a_call(caller)


def rust_calls_our_client(one, relay, *arguments):
    callee = Client(one, "callee", ["answer", *(arguments or ("--tone", "440"))], relay=relay.address)
    target = callee.registered()
    caller = rust_client(one, "rust-caller", relay.address, "--signal", "--seed", CALLER_SEED, "--call", colons(target))
    incoming = callee.wait("incoming")
    expect(incoming["caller"] == fingerprint_of(one, CALLER_SEED), f"the call comes from {incoming['caller']}")
    expect(not incoming["own_kind"], "the reference was taken for our own kind")
    return caller, callee


@at_both_relays
def rust_client_calls_our_client_and_hangs_up(one, relay):
    caller, callee = rust_calls_our_client(one, relay)
    logged(caller, "media connected")
    callee.wait("media_up")
    time.sleep(TALK_S)
    interrupt(caller)
    logged(caller, "call ended")
    ended = callee.wait("ended")
    expect(ended["reason"] == "normal" and ended["by_peer"], f"our client says {ended}")
    expect(callee.program.wait(10) == 0, "our client failed")
    expect_media_of_a_call(callee)
    expect_forwarded(one, relay, callee)


@at_both_relays
def rust_client_calls_our_client_that_hangs_up(one, relay):
    caller, callee = rust_calls_our_client(one, relay, "--tone", "440", "--duration", str(TALK_S))
    logged(caller, "media connected")
    expect(callee.program.wait(20) == 0, "our client failed")
    logged(caller, "remote hung up")
    logged_once(caller, "remote hung up")
    expect_media_of_a_call(callee)


@at_both_relays
def rust_client_is_told_that_our_client_declines(one, relay):
    caller, callee = rust_calls_our_client(one, relay, "--accept", "reject")
    logged(caller, f"call ended by remote reason={relay.declined}")
    callee.program.stop()


# The gateway


def gateway_at(one, relay):
    """Where the reference speaks with the gateway: at the Rust relay, or at the gateway's embedded one (relay None)."""
    return Gateway(one, relay=relay.address if relay else None).start()


def at_rust_and_embedded_relay(function):
    for label, make in (("the_rust_relay", RustRelay), ("the_embedded_relay", lambda one: None)):
        def run(one, make=make):
            function(one, make(one))
        run.__module__ = __name__
        registry.CASES.append(registry.Entry(f"{function.__name__}_at_{label}", run, False, False))
    return function


def expect_ended_once(one, gateway, phone, relay):
    """One call, ended in order, its datagrams counted on both sides of the gateway; and nothing happens after it."""
    ended = gateway.ended_call()
    expect(ended["cause"] == "normal", f"cause {ended['cause']}")
    time.sleep(1)  # anything that would come twice
    expect(len(gateway.calls()) == 1, f"{len(gateway.calls())} calls recorded")
    closed = [event for event in phone.events.all() if event.get("type") == "CALL_CLOSED"]
    expect(len(closed) == 1, f"the phone saw {len(closed)} ends")
    stats = gateway.ctl("stats")["calls"]
    expect(stats["unexpected_events"] == 0, f"{stats['unexpected_events']} events came that nobody waited for")
    media = ended["media"]
    wanted = 0.8 * TALK_S * FRAMES_PER_SECOND
    expect(media["rtp_rx"] >= wanted and media["rtp_tx"] >= wanted, f"between phone and gateway: {media}")
    expect(media["wzp_tx"] >= wanted and media["wzp_rx"] > 5, f"between gateway and Rust client: {media}")
    expect(media["wzp_lost"] == 0 and media["wzp_bad_codec"] == 0, f"from the Rust client: {media}")
    one.note(f"datagrams to the Rust client {media['wzp_tx']}, from it {media['wzp_rx']}")
    if relay:
        expect(media["wzp_tx"] in relay.forwarded() and media["wzp_rx"] in relay.forwarded(),
               f"the relay forwarded {relay.forwarded()}, the gateway counts {media['wzp_tx']} and {media['wzp_rx']}")


def phone_calls_rust(one, relay):
    gateway = gateway_at(one, relay)
    fingerprint = fingerprint_of(one, CALLEE_SEED)
    callee = rust_client(one, "rust-callee", gateway.relay, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    phone = Phone(one, "phone").register(gateway, "alice")
    setup_ms = phone.call(fingerprint.replace(":", ""))
    one.note(f"set-up {setup_ms:.0f} ms")
    logged(callee, "media connected")
    time.sleep(TALK_S)
    return gateway, phone, callee


@at_rust_and_embedded_relay
def phone_calls_a_rust_client_and_hangs_up(one, relay):
    gateway, phone, callee = phone_calls_rust(one, relay)
    phone.hang_up()
    logged(callee, "call ended")
    logged_once(callee, "remote hung up")
    expect_ended_once(one, gateway, phone, relay)


@at_rust_and_embedded_relay
def phone_calls_a_rust_client_that_hangs_up(one, relay):
    gateway, phone, callee = phone_calls_rust(one, relay)
    interrupt(callee)
    phone.wait("CALL_CLOSED")
    expect_ended_once(one, gateway, phone, relay)


def rust_calls_phone(one, relay):
    gateway = gateway_at(one, relay)
    phone = Phone(one, "phone").register(gateway, "alice")
    caller = rust_client(one, "rust-caller", gateway.relay, "--signal", "--seed", CALLER_SEED,
                         "--call", colons(gateway.fingerprint("alice")))
    phone.wait("CALL_ESTABLISHED", 15)
    logged(caller, "media connected")
    time.sleep(TALK_S)
    return gateway, phone, caller


@at_rust_and_embedded_relay
def rust_client_calls_a_phone_and_hangs_up(one, relay):
    gateway, phone, caller = rust_calls_phone(one, relay)
    interrupt(caller)
    phone.wait("CALL_CLOSED")
    logged(caller, "call ended")
    expect_ended_once(one, gateway, phone, relay)


@at_rust_and_embedded_relay
def rust_client_calls_a_phone_that_hangs_up(one, relay):
    gateway, phone, caller = rust_calls_phone(one, relay)
    phone.hang_up()
    logged(caller, "remote hung up")
    logged_once(caller, "remote hung up")
    expect_ended_once(one, gateway, phone, relay)


def speak_both_ways(one, phone, client, said_by_phone, said_by_client, recording):
    time.sleep(max(wav_seconds(said_by_phone), wav_seconds(said_by_client)) + 0.8)
    phone.hang_up()
    phone.wait("CALL_CLOSED")
    client.wait("ended")
    client.program.wait(10)
    expect_speech(one, said_by_phone, recording, "phone to client")
    expect_speech(one, said_by_client, phone.recorded(), "client to phone")


@case
def phone_and_our_client_speak_through_the_rust_relay(one):
    said_by_phone = make_speech(one.directory / "phone.wav")
    said_by_client = make_speech(one.directory / "client.wav", OTHER_SPEECH)
    relay = RustRelay(one)
    gateway = gateway_at(one, relay)
    client = answering_client(one, gateway, arguments=["--play", said_by_client])
    phone = Phone(one, "phone", said_by_phone).register(gateway, "alice")
    phone.call(client.fingerprint.replace(":", ""))
    client.wait("setup")
    speak_both_ways(one, phone, client, said_by_phone, said_by_client, client.recording)


@case
def our_client_and_a_phone_with_opus_speak_through_the_rust_relay(one):
    said_by_phone = make_speech(one.directory / "phone.wav")
    said_by_client = make_speech(one.directory / "client.wav", OTHER_SPEECH)
    relay = RustRelay(one)
    gateway = gateway_at(one, relay)
    phone = Phone(one, "phone", said_by_phone).register(gateway, "alice", codecs=("opus",))
    recording = one.directory / "heard.wav"
    client = Client(one, "carol", ["call", gateway.fingerprint("alice"), "--play", said_by_client, "--record", recording],
                    relay=relay.address)
    client.wait("setup")
    phone.wait("CALL_ESTABLISHED")
    speak_both_ways(one, phone, client, said_by_phone, said_by_client, recording)
    expect(gateway.ended_call()["codec"].lower() == "opus", f"the call used {gateway.last_call()['codec']}")


# Questions


@case
def rust_version_check_reads_our_relay(one):
    relay = OurRelay(one)
    asked = rust_client(one, "rust-version", relay.address, "--version-check")
    expect(asked.wait(15) == 0, f"it failed: {asked.log().strip()[-300:]}")
    answer = asked.log().strip().splitlines()[-1].split()
    expect(answer[0] == relay.address and len(answer) == 2, f"it printed {answer}")
    one.note("it reads " + answer[1])


@case
def rust_relay_answers_our_questions(one):
    relay = RustRelay(one)
    for command, wanted in (("version", r'"build":"[0-9a-f]{7}'), ("ping", r'"rtt_ms":[0-9.]+'),
                            ("reflect", rf'"addr":"{LOOPBACK}:\d+"')):
        said = one.run(f"our-{command}", [one.bins / "wzp-client", "--json", "--relay", relay.address,
                                          "--seed-file", one.directory / "seed", command])
        found = re.search(wanted, said)
        expect(found, f"{command}: {said}")
        one.note(f"{command} {found[0]}")


@case
def rust_analyzer_hears_a_room_of_our_relay(one):
    relay = OurRelay(one)
    speaker = Client(one, "speaker", ["room", "demo", "--tone", "440", "--duration", "7"], relay=relay.address)
    speaker.wait("media_up")
    seconds = 4
    analyzer = peer(one, "rust-analyzer", "WZP_PEER_ANALYZER", relay.address, "--room", "demo", "--no-tui",
                    "--duration", str(seconds))
    expect(analyzer.wait(20) == 0, "the analyzer failed")
    found = re.findall(r"(\d+) pkts, ([\d.]+)% loss.*?(Opus\w+)", analyzer.log())
    expect(found, f"it says {analyzer.log().strip()[-300:]}")
    packets, loss, codec = found[-1]
    one.note(f"it counts {packets} packets of {codec}, {loss} % lost")
    expect(int(packets) > 0.8 * (seconds - 1) * FRAMES_PER_SECOND and float(loss) == 0 and codec == "Opus24k", found[-1])
    speaker.program.wait(20)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/asan/bin", help="programs under test")
    parser.add_argument("case", nargs="*", help="names, or parts of them; default: all")
    args = parser.parse_args()
    args.fast_bin = None
    missing = [name for name in PEER_PROGRAMS if not os.access(os.environ.get(name, ""), os.X_OK)]
    if missing:
        print(f"FAIL peers: {', '.join(missing)} must name the programs of the reference implementation")
        return 1
    chosen = [entry for entry in registry.CASES if entry.function.__module__ == "__main__"
              and (not args.case or any(part in entry.name for part in args.case))]
    results = [run_case(entry, args) for entry in chosen]
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
