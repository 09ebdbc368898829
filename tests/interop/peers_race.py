"""The race for a direct path against the reference's own (its dual_path and its rule for roles, run by the harness), in
either role, and ours between our own clients at its relays. These run in a network of their own with public addresses.

The role is decided by comparing the two addresses as texts: the peer at ...113.2 dials our client at ...113.1, and the one at
...113.10 accepts, since "0" comes before ":"."""
import time

from gateway import colons
from harness import Client, expect, expect_speech, make_speech, wait_until, wav_seconds
from peers_common import (CALLER_SEED, FRAMES_PER_SECOND, OTHER_SPEECH, PUBLIC_HOST, RELAYS, TALK_S, Harness, OurRelay,
                          RustRelay, SeedRelay, add_public_case, fluent_speech, raw_to_wav)

PEER_AT = {"dialer": "203.0.113.2", "acceptor": "203.0.113.10"}
NOBODY_AT = "203.0.113.77:9"
# The reference waits for its relay leg, 1.0 s, and one more when that has not come; then both report.
MAX_DIRECT_MS = 2500
MAX_RELAY_MS = 3500         # 2 s of trying, reports, the room
HEAD_RELAYS = (OurRelay, RustRelay)


def setup_ms(client):
    """From CallSetup to media, at our client."""
    setup, up = client.last("setup"), client.last("media_up")
    return up["t_ms"] - setup["t_ms"]


def last_path(client):
    return client.last("path")["path"]


def expect_path(one, client, peer, wanted, most_ms):
    """Both sides chose the same path, in time; and frames of each reach the other."""
    time.sleep(TALK_S)
    up = peer.last("media_up")
    expect(up and up["path"] == wanted, f"the peer chose {up}")
    expect(last_path(client) == wanted, f"our client chose {last_path(client)}")
    one.note(f"{wanted}; ours {setup_ms(client)} ms after the set-up, theirs {up['setup_ms']} ms")
    expect(setup_ms(client) <= most_ms and up["setup_ms"] <= most_ms, f"it took {setup_ms(client)} and {up['setup_ms']} ms")


def expect_media(client, peer):
    """Called when both have ended."""
    ours, theirs = client.last("media"), peer.last("media")
    expect(ours["undecodable"] == 0 and theirs["rx_bad"] == 0, f"ours {ours}, theirs {theirs}")
    least = 0.6 * TALK_S * FRAMES_PER_SECOND
    expect(ours["rx"] > least and theirs["rx"] > least, f"heard: ours {ours['rx']}, theirs {theirs['rx']}")


def reports(peer, direction):
    return [message["MediaPathReport"] for message in peer.signals(direction)
            if isinstance(message, dict) and "MediaPathReport" in message]


def our_call(one, relay, *peer_arguments, ours=()):
    """Our client calls the peer."""
    peer = Harness(one, "rust-peer", relay.address, "--quality-reports", *peer_arguments, "answer", "trusted")
    client = Client(one, "caller", ["call", peer.registered(), "--tone", "440", *ours], relay=relay.address)
    client.wait("media_up", 15)
    peer.wait("media_up", 15)
    return client, peer


def their_call(one, relay, *peer_arguments, ours=(), accept="trusted"):
    client = Client(one, "callee", ["answer", "--accept", accept, "--tone", "440", *ours], relay=relay.address)
    peer = Harness(one, "rust-peer", relay.address, "--quality-reports", *peer_arguments,
                   "call", colons(client.registered()), seed=CALLER_SEED)
    client.wait("media_up", 15)
    peer.wait("media_up", 15)
    return client, peer


def hang_up_ours(client, peer):
    client.program.process.terminate()
    client.wait("ended")
    hangup = peer.wait("hangup")
    expect(hangup["reason"] == "Normal", f"the peer was told {hangup}")
    peer.wait("ended")
    peer.program.wait(5)
    client.program.wait(10)


def expect_direct(one, client, peer, role):
    race = peer.last("race")
    expect(race and race["role"] == role, f"the peer's race: {race}")
    expect_path(one, client, peer, "direct", MAX_DIRECT_MS)
    expect(peer.last("media_up")["remote"].startswith(PUBLIC_HOST + ":"), f"{peer.last('media_up')}")
    hang_up_ours(client, peer)
    expect_media(client, peer)
    call_id = client.last("setup")["call_id"]
    expect([r["direct_ok"] for r in reports(peer, "tx")] == [True], f"it reported {reports(peer, 'tx')}")
    got = reports(peer, "rx")
    expect(got and got[-1]["direct_ok"] and all(r["call_id"] == call_id for r in got), f"we reported {got}")


def add_direct_cell(role, relay):
    def ours(one, at):
        expect_direct(one, *our_call(one, at, "--bind", PEER_AT[role]), role)

    def theirs(one, at):
        expect_direct(one, *their_call(one, at, "--bind", PEER_AT[role]), role)

    add_public_case(f"our_client_calls_a_rust_{role}_and_both_go_direct_at_{relay.label}", ours, relay)
    add_public_case(f"a_rust_{role}_calls_our_client_and_both_go_direct_at_{relay.label}", theirs, relay)


for relay_kind in HEAD_RELAYS:
    for peer_role in PEER_AT:
        add_direct_cell(peer_role, relay_kind)


def at_head_relays(function):
    for kind in HEAD_RELAYS:
        add_public_case(f"{function.__name__}_at_{kind.label}", function, kind)
    return function


@at_head_relays
def speech_takes_the_direct_path_both_ways(one, relay):
    said_by_us = make_speech(one.directory / "ours.wav")
    said_by_them, raw = fluent_speech(one, OTHER_SPEECH, "theirs")
    heard_by_them, heard_by_us = one.directory / "them.raw", one.directory / "us.wav"
    seconds = max(wav_seconds(said_by_us), wav_seconds(said_by_them)) + 1.5
    peer = Harness(one, "rust-peer", relay.address, "--bind", PEER_AT["dialer"], "--play", raw, "--record", heard_by_them,
                   "answer", "trusted")
    client = Client(one, "caller", ["call", peer.registered(), "--play", said_by_us, "--record", heard_by_us,
                                    "--duration", str(seconds)], relay=relay.address)
    expect(client.program.wait(40) == 0, "our client failed")
    peer.wait("ended")
    peer.program.wait(5)
    expect(last_path(client) == "direct" and peer.last("media_up")["path"] == "direct", "the path was not direct")
    expect_speech(one, said_by_them, heard_by_us, "to us")
    expect_speech(one, said_by_us, raw_to_wav(heard_by_them), "to them")


@at_head_relays
def a_rust_peer_that_nobody_reaches_is_spoken_to_over_the_relay(one, relay):
    """It is the acceptor of an address where nobody listens: our dial fails, both report it."""
    client, peer = our_call(one, relay, "--bind", PEER_AT["acceptor"], "--advertise", "203.0.113.0:9")
    expect(peer.last("race")["role"] == "acceptor", f"{peer.last('race')}")
    expect_path(one, client, peer, "relay", MAX_RELAY_MS)
    hang_up_ours(client, peer)
    expect_media(client, peer)
    expect([r["direct_ok"] for r in reports(peer, "tx")] == [False], f"it reported {reports(peer, 'tx')}")
    expect(reports(peer, "rx") and not any(r["direct_ok"] for r in reports(peer, "rx")), f"we sent {reports(peer, 'rx')}")


@at_head_relays
def a_rust_peer_that_does_not_dial_is_spoken_to_over_the_relay(one, relay):
    """It told an address, is the dialer, and neither dials nor reports: what the seed version's desktop does."""
    client, peer = our_call(one, relay, "--bind", PEER_AT["dialer"], "--no-race", "--no-report")
    expect_path(one, client, peer, "relay", MAX_RELAY_MS)
    hang_up_ours(client, peer)
    expect_media(client, peer)


@at_head_relays
def a_rust_callee_that_keeps_its_addresses_is_spoken_to_over_the_relay_at_once(one, relay):
    peer = Harness(one, "rust-peer", relay.address, "--bind", PEER_AT["dialer"], "answer", "generic")
    client = Client(one, "caller", ["call", peer.registered(), "--tone", "440"], relay=relay.address)
    client.wait("media_up")
    peer.wait("no_race")
    peer.wait("media_up")
    expect(client.last("setup")["peer_direct_addr"] is None, f"{client.last('setup')}")
    expect_path(one, client, peer, "relay", 500)
    hang_up_ours(client, peer)
    expect_media(client, peer)


@at_head_relays
def our_callee_that_keeps_its_addresses_is_spoken_to_over_the_relay_at_once(one, relay):
    client, peer = their_call(one, relay, "--bind", PEER_AT["dialer"], accept="generic")
    expect(peer.last("answered")["reflexive"] is None and peer.last("setup")["peer_direct_addr"] is None,
           f"an address got out: {peer.last('answered')}")
    expect_path(one, client, peer, "relay", 500)
    hang_up_ours(client, peer)
    expect_media(client, peer)


@at_head_relays
def our_client_that_wants_no_direct_path_tells_no_address(one, relay):
    client, peer = our_call(one, relay, "--bind", PEER_AT["dialer"], ours=("--no-direct",))
    incoming = peer.last("incoming")
    expect(incoming["reflexive"] is None and not incoming["local"], f"an address got out: {incoming}")
    expect_path(one, client, peer, "relay", 500)
    hang_up_ours(client, peer)
    expect_media(client, peer)


def add_lost_report_cell(role):
    """The peer races and gets our report, but its own never comes: it is direct, and what it sends there tells us so."""
    def run(one, relay):
        client, peer = our_call(one, relay, "--bind", PEER_AT[role], "--no-report")
        race = peer.last("race")
        expect(race and race["role"] == role, f"the peer's race: {race}")
        expect(reports(peer, "tx") == [], f"it reported {reports(peer, 'tx')}")
        expect_path(one, client, peer, "direct", MAX_DIRECT_MS)
        hang_up_ours(client, peer)
        expect_media(client, peer)

    for kind in HEAD_RELAYS:
        add_public_case(f"a_rust_{role}_whose_report_is_lost_is_heard_on_the_direct_path_at_{kind.label}", run, kind)


for peer_role in PEER_AT:
    add_lost_report_cell(peer_role)


def seed_peer_with_addresses(one, relay):
    """As the seed version's desktop: it tells its address and then takes the relay. Our client must not send it, nor the
    relay, a message that they do not know."""
    client, peer = our_call(one, relay, "--bind", PEER_AT["dialer"], "--no-race", "--no-report")
    setup = client.last("setup")
    expect(setup["peer_direct_addr"].startswith(PEER_AT["dialer"]), f"{setup}")
    expect_path(one, client, peer, "relay", MAX_RELAY_MS)
    hang_up_ours(client, peer)
    expect_media(client, peer)
    expect(reports(peer, "rx") == [], "a report went through a relay that does not know it")


add_public_case("a_peer_with_addresses_at_the_seed_relay_is_spoken_to_over_the_relay", seed_peer_with_addresses, SeedRelay)


def our_clients_go_direct(one, relay):
    """Between our own kind the relay only carries offer, answer and set-up, whatever its age."""
    callee = Client(one, "callee", ["answer", "--accept", "trusted", "--tone", "440"], relay=relay.address)
    target = callee.registered()
    caller = Client(one, "caller", ["call", target, "--tone", "440", "--duration", str(TALK_S)], relay=relay.address)
    for client in (caller, callee):
        client.wait("media_up")
    wait_until("both to be direct", 3, lambda: last_path(caller) == last_path(callee) == "direct")
    one.note(f"media after {setup_ms(caller)} and {setup_ms(callee)} ms")
    expect(caller.program.wait(20) == 0, "the caller failed")
    callee.wait("ended")
    least = 0.8 * TALK_S * FRAMES_PER_SECOND
    expect(caller.last("media")["rx"] > least and callee.last("media")["rx"] > least, "too little was heard")
    expect(callee.last("unregistered") is None and caller.last("unregistered") is None, "a registration was lost")


for relay_kind in RELAYS:
    add_public_case(f"our_clients_go_direct_at_{relay_kind.label}", our_clients_go_direct, relay_kind)
