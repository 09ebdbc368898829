"""Calls over the relay: {our, rust, seed} caller x callee x relay, hung up from each side, and what else the programs' own
command lines can show."""
import time

from gateway import colons
from harness import Client, expect, expect_speech, make_speech, wait_until, wav_seconds
from peers_common import (CALLEE_SEED, CALLER_SEED, FRAMES_PER_SECOND, RELAYS, TALK_S, OurRelay, RustRelay, SeedRelay,
                          add_case, at_each_relay, fingerprint_of, interrupt, logged, logged_once, rust_client)
from registry import case

KINDS = ("our", "rust", "seed")


def expect_media_of_a_call(client, from_ours=False):
    """The reference's client sends five packets of silence and then comfort noise, three or four a second."""
    media = client.last("media")
    expect(media["undecodable"] == 0, f"packets that our client could not read: {media}")
    expect(media["rx"] > (0.8 * TALK_S * FRAMES_PER_SECOND if from_ours else 5), f"our client heard {media['rx']} packets")
    expect(media["tx"] > 0.8 * TALK_S * FRAMES_PER_SECOND, f"our client sent {media['tx']} packets")


# The same words for both: TheirParty and OurParty


class TheirParty:
    is_ours = False

    def __init__(self, one, era, relay, seed):
        self.one, self.era, self.relay, self.seed = one, era, relay, seed
        self.program = None

    def start(self, role, *arguments):
        self.program = rust_client(self.one, f"{self.era}-{role}", self.relay.address, "--signal", "--seed", self.seed,
                                   *arguments, era=self.era)
        logged(self.program, "registered on relay")

    def answer(self):
        self.start("callee")
        return fingerprint_of(self.one, self.seed)

    def call(self, target):
        self.start("caller", "--call", target)

    def in_call(self):
        logged(self.program, "media connected")

    def hang_up(self):
        interrupt(self.program)
        logged(self.program, "call ended")

    def was_hung_up_on(self, _peer_is_ours):
        logged(self.program, "call ended")
        logged_once(self.program, "remote hung up")


class OurParty:
    is_ours = True

    def __init__(self, one, _kind, relay, _seed):
        self.one, self.relay = one, relay
        self.client = None

    def answer(self):
        self.client = Client(self.one, "callee", ["answer", "--tone", "440"], relay=self.relay.address)
        return colons(self.client.registered())

    def call(self, target):
        self.client = Client(self.one, "caller", ["call", target, "--tone", "440"], relay=self.relay.address)
        self.client.wait("setup")  # a callee that answers at once may overtake the reference relay's CallRinging

    def in_call(self):
        self.client.wait("media_up", 15)

    def hang_up(self):
        interrupt(self.client.program)
        ended = self.client.wait("ended")
        expect(not ended["by_peer"], f"our client says {ended}")

    def was_hung_up_on(self, peer_is_ours):
        ended = self.client.wait("ended")
        expect(ended["reason"] == "normal" and ended["by_peer"], f"our client says {ended}")
        expect(self.client.program.wait(10) == 0, "our client failed")
        expect_media_of_a_call(self.client, peer_is_ours)


def party(one, kind, relay, seed):
    return (OurParty if kind == "our" else TheirParty)(one, kind, relay, seed)


def add_call_cell(caller_kind, callee_kind, relay, hung_up_by):
    def run(one, at):
        caller, callee = party(one, caller_kind, at, CALLER_SEED), party(one, callee_kind, at, CALLEE_SEED)
        caller.call(callee.answer())
        caller.in_call()
        callee.in_call()
        time.sleep(TALK_S)
        first, second = (caller, callee) if hung_up_by == "caller" else (callee, caller)
        first.hang_up()
        second.was_hung_up_on(first.is_ours)

    add_case(f"{caller_kind}_client_calls_{callee_kind}_client_and_the_{hung_up_by}_hangs_up_at_{relay.label}", run, relay)


for relay_kind in RELAYS:
    for calling in KINDS:
        for called in KINDS:
            for ending in ("caller", "callee"):
                add_call_cell(calling, called, relay_kind, ending)


@case
def our_relay_tells_a_rust_client_that_the_callee_is_not_there(one):
    relay = OurRelay(one)
    caller = rust_client(one, "rust-caller", relay.address, "--signal", "--seed", CALLER_SEED,
                         "--call", fingerprint_of(one, CALLEE_SEED))
    logged(caller, "call ended by remote")


@at_each_relay
def our_client_is_told_that_the_callee_is_not_there(one, relay):
    caller = Client(one, "caller", ["call", fingerprint_of(one, CALLEE_SEED)], relay=relay.address)
    ended = caller.wait("ended")
    expect(ended["by_peer"] and not ended["rang"], f"our client says {ended}")


@at_each_relay
def our_clients_speak_in_a_call(one, relay):
    said = make_speech(one.directory / "said.wav")
    recording = one.directory / "heard.wav"
    callee = Client(one, "callee", ["answer", "--accept", "trusted", "--record", recording], relay=relay.address)
    target = callee.registered()
    caller = Client(one, "caller", ["call", target, "--play", said, "--duration", str(wav_seconds(said) + 1)],
                    relay=relay.address)
    setup = caller.wait("setup")
    expect("peer_direct_addr" in setup, "setup event without peer_direct_addr")
    expect(caller.program.wait(40) == 0, "the caller failed")
    callee.wait("ended")
    callee.program.wait(15)
    expect_speech(one, said, recording, f"call at {relay.label}")


def expect_forwarded(one, relay, client):
    """The reference relay's word: it forwarded each datagram our client had sent."""
    if isinstance(relay, RustRelay):
        sent = client.last("media")["tx"]
        wait_until(f"the relay to count the {sent} datagrams of our client", 5,
                   lambda: any(abs(count - sent) <= 2 for count in relay.forwarded()))
        one.note(f"{sent} datagrams sent, the relay forwarded {max(relay.forwarded())}")


@at_each_relay
def our_client_calls_a_rust_client_for_a_set_time(one, relay):
    fingerprint = fingerprint_of(one, CALLEE_SEED)
    callee = rust_client(one, "rust-callee", relay.address, "--signal", "--seed", CALLEE_SEED)
    logged(callee, "registered on relay")
    caller = Client(one, "caller", ["call", fingerprint, "--tone", "440", "--duration", str(TALK_S)], relay=relay.address)
    caller.wait("setup")
    caller.wait("media_up")
    expect(caller.program.wait(20) == 0, "our client failed")
    logged(callee, "call ended")
    logged_once(callee, "remote hung up")
    expect_media_of_a_call(caller)
    expect_forwarded(one, relay, caller)


def rust_calls_our_client(one, relay, *arguments):
    callee = Client(one, "callee", ["answer", *arguments], relay=relay.address)
    target = callee.registered()
    caller = rust_client(one, "rust-caller", relay.address, "--signal", "--seed", CALLER_SEED, "--call", colons(target))
    incoming = callee.wait("incoming")
    expect(incoming["caller"] == fingerprint_of(one, CALLER_SEED), f"the call comes from {incoming['caller']}")
    expect(not incoming["own_kind"], "the reference was taken for our own kind")
    return caller, callee


@at_each_relay
def rust_client_calls_our_client_that_answers_for_a_set_time(one, relay):
    caller, callee = rust_calls_our_client(one, relay, "--tone", "440", "--duration", str(TALK_S))
    logged(caller, "media connected")
    expect(callee.program.wait(20) == 0, "our client failed")
    logged(caller, "remote hung up")
    logged_once(caller, "remote hung up")
    expect_media_of_a_call(callee)
    expect_forwarded(one, relay, callee)


@at_each_relay
def rust_client_is_told_that_our_client_declines(one, relay):
    caller, callee = rust_calls_our_client(one, relay, "--accept", "reject")
    logged(caller, f"call ended by remote reason={relay.declined}")
    callee.program.stop()


@case
def a_seed_relay_and_its_clients_never_get_what_would_end_their_connection(one):
    """Two calls in a row of one registration: had a message been sent that the old version does not know, the first call
    would have been the last."""
    relay = SeedRelay(one)
    callee = Client(one, "callee", ["answer", "--keep", "--accept", "trusted", "--tone", "440"], relay=relay.address)
    target = callee.registered()
    for turn in range(2):
        caller = Client(one, f"caller-{turn}", ["call", target, "--tone", "440", "--duration", "2"], relay=relay.address)
        caller.wait("media_up")
        expect(caller.program.wait(20) == 0, "our client failed")
        callee.wait("ended")
    expect(callee.last("unregistered") is None, "our client lost its registration")
    callee.program.stop()
