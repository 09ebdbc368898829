"""What the reference's command-line client cannot do and a peer on its libraries can: reject, speak in calls, speak Codec2 and
lose packets on purpose."""
import time

import warp
from gateway import colons
from harness import Client, Phone, expect, expect_speech, judge, make_speech, wav_seconds
from peers_common import (CALLEE_SEED, CALLER_SEED, OTHER_SPEECH, Harness, OurRelay, RustRelay, add_case, at_each_relay,
                          fingerprint_of, fluent_speech, raw_to_wav)
from peers_gateway import at_rust_and_embedded_relay, gateway_at
from registry import case

LOSS_PCT = 20
CODEC2_S = 20               # so long, about a thousand frames, is lost on
MAX_RESIDUAL_PCT = {"codec2-1200": 0.5, "codec2-3200": 4.0}   # K=8 R=8, K=5 R=3
FRAME_MS = {"codec2-1200": 40, "codec2-3200": 20}
PULL_MS = 20                # what our client counts concealment in
MIN_CODEC2_WARPED = 0.55    # spectra of speech after Codec2, see warp.py
MIN_ABOVE_CONTROL = 0.10


# Rejecting


@at_each_relay
def our_client_is_told_that_a_rust_peer_rejects(one, relay):
    """The reference's relays make a hang-up without a reason of it."""
    callee = Harness(one, "rust-peer", relay.address, "answer", "reject")
    caller = Client(one, "caller", ["call", callee.registered()], relay=relay.address)
    ended = caller.wait("ended")
    expect(ended["by_peer"] and not ended["answered"], f"our client says {ended}")
    one.note(f"it says {ended['reason']}")
    expect(ended["reason"] == ("declined" if relay.declined == "Declined" else "normal"), f"our client says {ended}")


@at_each_relay
def rust_peer_is_told_that_our_client_rejects(one, relay):
    callee = Client(one, "callee", ["answer", "--accept", "reject"], relay=relay.address)
    caller = Harness(one, "rust-peer", relay.address, "call", colons(callee.registered()), seed=CALLER_SEED)
    hangup = caller.wait("hangup")
    expect(hangup["reason"] == relay.declined, f"it was told {hangup}")
    callee.program.stop()


# Sound in a call


@at_each_relay
def our_client_and_a_rust_peer_speak_in_a_call_over_the_relay(one, relay):
    """Both speak at once; the peer's decoder writes what it hears."""
    said_by_us = make_speech(one.directory / "ours.wav")
    said_by_them, raw = fluent_speech(one, OTHER_SPEECH, "theirs")
    heard_by_them, heard_by_us = one.directory / "them.raw", one.directory / "us.wav"
    callee = Harness(one, "rust-peer", relay.address, "--no-addresses", "--play", raw, "--record", heard_by_them,
                     "answer", "generic")
    seconds = max(wav_seconds(said_by_us), wav_seconds(said_by_them)) + 0.8
    caller = Client(one, "caller", ["call", callee.registered(), "--play", said_by_us, "--record", heard_by_us,
                                    "--duration", str(seconds)], relay=relay.address)
    expect(caller.program.wait(40) == 0, "our client failed")
    callee.wait("ended")
    callee.program.wait(5)
    expect_speech(one, said_by_them, heard_by_us, "to us")
    expect_speech(one, said_by_us, raw_to_wav(heard_by_them), "to them")


@at_rust_and_embedded_relay
def phone_and_a_rust_peer_speak(one, relay):
    said_by_phone = make_speech(one.directory / "phone.wav")
    said_by_peer, raw = fluent_speech(one, OTHER_SPEECH, "peer")
    heard = one.directory / "peer-heard.raw"
    gateway = gateway_at(one, relay)
    peer = Harness(one, "rust-peer", gateway.relay, "--play", raw, "--record", heard, "answer", "generic")
    phone = Phone(one, "phone", said_by_phone).register(gateway, "alice")
    phone.call(peer.registered().replace(":", ""))
    peer.wait("media_up")
    time.sleep(max(wav_seconds(said_by_phone), wav_seconds(said_by_peer)) + 0.8)
    phone.hang_up()
    phone.wait("CALL_CLOSED")
    peer.wait("ended")
    peer.program.wait(5)
    expect_speech(one, said_by_phone, raw_to_wav(heard), "phone to peer")
    expect_speech(one, said_by_peer, phone.recorded(), "peer to phone")


# Codec2 under loss


def expect_repaired(one, codec, heard, media):
    """How much of what the peer dropped on its way out was still missing in our client's sound."""
    residual = 100 * heard["concealed"] * PULL_MS / (media["frames_tx"] * FRAME_MS[codec])
    one.note(f"{codec}: {media['dropped_source']} of {media['frames_tx']} frames and {media['dropped_repair']} of "
             f"{media['repairs_tx']} repair packets dropped; {heard['concealed'] * PULL_MS} ms concealed, residual "
             f"{residual:.2f} % (at most {MAX_RESIDUAL_PCT[codec]} %)")
    expect(media["dropped_source"] > 0.15 * media["frames_tx"], "too little was dropped to show anything")
    expect(heard["undecodable"] == 0, f"our client says {heard}")
    expect(residual <= MAX_RESIDUAL_PCT[codec], f"residual {residual:.2f} %")


def add_codec2_cell(codec, relay):
    def run(one, at):
        said, raw = fluent_speech(one)
        other, _ = fluent_speech(one, OTHER_SPEECH, "other")
        recording = one.directory / "heard.wav"
        listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=at.address)
        listener.wait("media_up")
        speaker = Harness(one, "rust-peer", at.address, "--codec", codec, "--play", raw, "--drop", str(LOSS_PCT),
                          "--duration", str(CODEC2_S), "room", "demo")
        speaker.wait("media_up")
        media = speaker.wait("media", CODEC2_S + 10)
        time.sleep(0.5)  # the last blocks
        listener.program.stop()
        expect_repaired(one, codec, listener.last("media"), media)
        heard, control = warp.similarity(said, recording), warp.similarity(other, recording)
        one.note(f"warped similarity {heard:.3f}, of other speech {control:.3f}")
        expect(heard >= MIN_CODEC2_WARPED and heard >= control + MIN_ABOVE_CONTROL,
               f"warped similarity {heard:.3f}, of other speech {control:.3f}")

    add_case(f"our_client_repairs_{codec.replace('-', '_')}_of_a_rust_peer_at_20_percent_loss_at_{relay.label}", run, relay)


for repaired_codec in FRAME_MS:
    for relay_kind in (OurRelay, RustRelay):
        add_codec2_cell(repaired_codec, relay_kind)


@case
def rust_peer_without_loss_leaves_nothing_to_conceal(one):
    """The counterpart of the cells above: what they conceal is the loss's."""
    relay = RustRelay(one)
    listener = Client(one, "listener", ["room", "demo"], relay=relay.address)
    listener.wait("media_up")
    speaker = Harness(one, "rust-peer", relay.address, "--codec", "codec2-3200", "--tone", "440", "--duration", "6",
                      "room", "demo")
    speaker.wait("media", 20)
    listener.program.stop()
    media = listener.last("media")
    expect(media["codec"] == "Codec2_3200" and media["lost"] == 0 and media["concealed"] <= 1, f"our client says {media}")


# Quality reports and the relay's recommendation


@at_each_relay
def quality_reports_of_both_make_the_relay_recommend(one, relay):
    """On a good path ten reports of each are one step up, at our relay as at the reference's; the seed version has none."""
    listener = Client(one, "listener", ["room", "demo", "--tone", "440"], relay=relay.address)
    listener.wait("media_up")
    peer = Harness(one, "rust-peer", relay.address, "--quality-reports", "--duration", "15", "room", "demo")
    media = peer.wait("media", 25)
    listener.program.stop()
    expect(media["rx_reports"] > 8, f"the peer read {media['rx_reports']} reports of our client")
    came = [(event["codec"], event["reason"]) for event in listener.events.all() if event.get("event") == "quality"]
    one.note(f"{media['rx_reports']} reports of ours; recommended: {came}")
    wanted = [] if relay.label == "the_seed_relay" else [("Opus32k", "weakest link: Studio32k")]
    expect(came == wanted, f"recommended: {came}")
