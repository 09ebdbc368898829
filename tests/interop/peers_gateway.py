"""Calls between phones at the gateway and the reference's clients, at the reference's relay and at the gateway's own."""
import time

from gateway import Gateway, answering_client, colons
from harness import Client, Phone, expect, expect_speech, make_speech, wav_seconds
from peers_common import (CALLEE_SEED, CALLER_SEED, FRAMES_PER_SECOND, OTHER_SPEECH, TALK_S, RustRelay, add_case,
                          fingerprint_of, interrupt, logged, logged_once, rust_client)
from registry import case


def gateway_at(one, relay):
    """Where the reference speaks with the gateway: at the Rust relay, or at the gateway's embedded one (relay None)."""
    return Gateway(one, relay=relay.address if relay else None).start()


def at_rust_and_embedded_relay(function):
    add_case(f"{function.__name__}_at_the_rust_relay", function, RustRelay)
    add_case(f"{function.__name__}_at_the_embedded_relay", function, lambda one: None)
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
        # A datagram may be on its way to the gateway when it hangs up.
        expect(media["wzp_tx"] in relay.forwarded() and any(0 <= count - media["wzp_rx"] <= 1 for count in relay.forwarded()),
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
