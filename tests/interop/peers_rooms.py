"""Rooms: who speaks, who records, whose relay; 27 cells of speech, and the tone of the reference's own client."""
import time

import warp
from harness import Client, expect, expect_speech, judge, make_speech, wav_seconds
from peers_common import (FRAMES_PER_SECOND, OTHER_SPEECH, RELAYS, add_case, at_each_relay, expect_similar, fluent_speech,
                          interrupt, logged, raw_to_wav, rust_client)

MIN_SIMILARITY_AGC = 0.85   # speech that went through the reference's AGC and noise suppressor
MIN_WARPED = 0.75           # spectra of speech at the reference sender's own pace, see warp.py
MIN_ABOVE_CONTROL = 0.15    # and how much nearer than other speech
WHO = {"our": "our_client", "rust": "a_rust_client", "seed": "a_seed_client"}


def start_recorder(one, relay, era):
    raw = one.directory / "recording.raw"
    recorder = rust_client(one, f"{era}-recorder", relay.address, "--room", "demo", "--record", raw, era=era)
    logged(recorder, "crypto handshake complete")
    return recorder, raw


def finish_recording(recorder, raw):
    time.sleep(1)  # the last datagrams
    interrupt(recorder)
    expect(recorder.wait(15) == 0, "the recorder failed")
    expect(raw.exists() and raw.stat().st_size > 0, "nothing was recorded")
    return raw_to_wav(raw)


def theirs_hears_theirs(one, relay, listener, speaker):
    """At the reference's relay nothing of this is ours: it is the measure for the same case at our relay."""
    said, said_raw = fluent_speech(one)
    recorder, raw = start_recorder(one, relay, listener)
    sender = rust_client(one, f"{speaker}-sender", relay.address, "--room", "demo", "--send-file", said_raw, era=speaker)
    expect(sender.wait(60) == 0, "the sender failed")
    expect_similar(one, said, finish_recording(recorder, raw), MIN_SIMILARITY_AGC, "AGC and noise suppressor between")


def ours_hears_ours(one, relay, _listener, _speaker):
    said = make_speech(one.directory / "said.wav")
    recording = one.directory / "heard.wav"
    listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=relay.address)
    listener.wait("media_up")
    speaker = Client(one, "speaker", ["room", "demo", "--play", said, "--duration", str(wav_seconds(said) + 1)],
                     relay=relay.address)
    expect(speaker.program.wait(40) == 0, "the speaker failed")
    listener.program.stop()
    expect_speech(one, said, recording, "room")


def theirs_hears_ours(one, relay, listener, _speaker):
    said = make_speech(one.directory / "said.wav")
    recorder, raw = start_recorder(one, relay, listener)
    speaker = Client(one, "speaker", ["room", "demo", "--play", said, "--duration", str(wav_seconds(said) + 0.5)],
                     relay=relay.address)
    expect(speaker.program.wait(40) == 0, "our client failed")
    expect_speech(one, said, finish_recording(recorder, raw), "our client to theirs")


def ours_hears_theirs(one, relay, _listener, speaker):
    said, said_raw = fluent_speech(one)
    other, _ = fluent_speech(one, OTHER_SPEECH, "other")
    recording = one.directory / "heard.wav"
    listener = Client(one, "listener", ["room", "demo", "--record", recording], relay=relay.address)
    listener.wait("media_up")
    started = time.monotonic()
    sender = rust_client(one, f"{speaker}-sender", relay.address, "--room", "demo", "--send-file", said_raw, era=speaker)
    expect(sender.wait(60) == 0, "the sender failed")
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


HEARS = {(True, True): ours_hears_ours, (True, False): ours_hears_theirs,
         (False, True): theirs_hears_ours, (False, False): theirs_hears_theirs}


def add_speech_cell(listener, speaker, relay):
    hears = HEARS[listener == "our", speaker == "our"]
    add_case(f"{listener}_client_hears_the_speech_of_{WHO[speaker]}_at_{relay.label}",
             lambda one, at: hears(one, at, listener, speaker), relay)


for relay_kind in RELAYS:
    for who_hears in WHO:
        for who_speaks in WHO:
            add_speech_cell(who_hears, who_speaks, relay_kind)


@at_each_relay
def rust_client_hears_the_tone_of_a_rust_client(one, relay):
    recorder, raw = start_recorder(one, relay, "rust")
    sender = rust_client(one, "rust-sender", relay.address, "--room", "demo", "--send-tone", "3")
    expect(sender.wait(30) == 0, "the sender failed")
    verdict = judge(one, "tone", finish_recording(recorder, raw), 440)
    one.note(f"{verdict['peak_hz']:.1f} Hz, {verdict['snr_db']:.0f} dB")
    expect(abs(verdict["peak_hz"] - 440) < 3 and verdict["snr_db"] > 10, f"heard {verdict}")
