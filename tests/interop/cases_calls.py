"""Calls that succeed: a phone (baresip) and a native client talk, both directions, each codec, each way of dialling."""
import subprocess
import time

from gateway import Gateway, answering_client, learn_fingerprint
from harness import (SPEECH, Client, Phone, expect, expect_speech, judge, make_speech, wait_until, wav_seconds)
from rawsip import RawPhone
from registry import case

OTHER_SPEECH = "She sells sea shells by the sea shore; the shells that she sells are sea shells for sure, and all of them are hers."


def speeches(one):
    """What the phone says and what the client says."""
    return make_speech(one.directory / "phone.wav", SPEECH), make_speech(one.directory / "client.wav", OTHER_SPEECH)


def talk(one, phone, client, said_by_phone, said_by_client):
    """Lets both say all they have to say, hangs up at the phone and judges what each heard."""
    time.sleep(max(wav_seconds(said_by_phone), wav_seconds(said_by_client)) + 0.8)
    phone.hang_up()
    phone.wait("CALL_CLOSED")
    client.wait("ended")
    client.program.wait(10)
    expect_speech(one, said_by_phone, client.recording, "phone to client")
    expect_speech(one, said_by_client, phone.recorded(), "client to phone")


def phone_calls_client(one, codec, transport, dial, paths=("direct", "relay"), **relay_settings):
    """One whole call; dial(fingerprint) says what the phone dials, the directory knows the client. Which of the paths
    media takes is up to the machine's addresses."""
    said_by_phone, said_by_client = speeches(one)
    fingerprint = learn_fingerprint(one, "carol")
    gateway = Gateway(one, directory=[{"alias": "carol", "number": "4100", "fingerprint": fingerprint}],
                      relay_settings=relay_settings).start()
    client = answering_client(one, gateway, arguments=["--play", said_by_client])
    expect(client.fingerprint == fingerprint, "the seed file did not give the same identity twice")
    phone = Phone(one, "phone", said_by_phone).register(gateway, "alice", transport=transport, codecs=(codec,))
    setup_ms = phone.call(dial(fingerprint))
    client.wait("incoming")
    setup = client.wait("setup")
    expect("peer_direct_addr" in setup, "setup event without peer_direct_addr")
    one.note(f"set-up {setup_ms:.0f} ms")
    talk(one, phone, client, said_by_phone, said_by_client)
    call = gateway.ended_call()
    expect(call["codec"].lower() == codec.lower(), f"the call says codec {call['codec']}")
    wzp = call["media"]["wzp"]
    expect((wzp["codec_tx"], wzp["codec_rx"]) == ("Opus24k", "Opus24k"), f"the call says over WZP {wzp}")
    expect(wzp["reports_tx"] > 0 and wzp["unrepaired"] == 0, f"the call says over WZP {wzp}")
    path = client.last("path")["path"]
    expect(path in paths, f"the path was {path}")
    expect(call["path"] == path, f"the call says path {call['path']}, the client {path}")
    expect(call["protection"] == {"wzp": f"quic-{path}", "sip": "clear"}, f"the call says protection {call['protection']}")
    expect(call["cause"] == "normal", f"the call says cause {call['cause']}")


@case
def phone_over_udp_calls_a_fingerprint_with_pcmu(one):
    phone_calls_client(one, "PCMU", "udp", lambda fingerprint: fingerprint.replace(":", ""))


@case
def phone_over_tcp_calls_an_alias_with_pcma(one):
    phone_calls_client(one, "PCMA", "tcp", lambda fingerprint: "carol")


@case
def phone_over_udp_calls_a_number_with_opus(one):
    phone_calls_client(one, "opus", "udp", lambda fingerprint: "4100")


@case
def gateway_with_direct_paths_off_takes_the_relay(one):
    phone_calls_client(one, "PCMU", "udp", lambda fingerprint: "4100", paths=("relay",), direct=False)


def client_calls_phone(one, codec, transport):
    said_by_phone, said_by_client = speeches(one)
    gateway = Gateway(one).start()
    phone = Phone(one, "phone", said_by_phone).register(gateway, "alice", transport=transport, codecs=(codec,))
    recording = one.directory / "carol.wav"
    client = Client(one, "carol", ["--play", said_by_client, "--record", recording, "call", gateway.fingerprint("alice")],
                    relay=gateway.relay)
    client.recording = recording
    client.wait("ringing")
    client.wait("setup")
    phone.wait("CALL_ESTABLISHED")
    talk(one, phone, client, said_by_phone, said_by_client)
    call = gateway.ended_call()
    expect(call["direction"] == "wzp-sip" and call["codec"].lower() == codec.lower(), f"the call was recorded as {call}")


@case
def client_calls_a_phone_over_udp_with_pcmu(one):
    client_calls_phone(one, "PCMU", "udp")


@case
def client_calls_a_phone_over_tcp_with_opus(one):
    client_calls_phone(one, "opus", "tcp")


@case
def client_calls_a_phone_over_udp_with_pcma(one):
    client_calls_phone(one, "PCMA", "udp")


@case
def one_phone_calls_another_through_wzp(one):
    """Two SIP users of one gateway: each is a native identity, so the call crosses the relay twice."""
    said = make_speech(one.directory / "said.wav")
    gateway = Gateway(one).start()
    callee = Phone(one, "callee", None).register(gateway, "bob", codecs=("PCMA",))
    caller = Phone(one, "caller", said).register(gateway, "alice", codecs=("PCMU",))
    caller.call("1002")
    time.sleep(wav_seconds(said) + 0.8)
    caller.hang_up()
    callee.wait("CALL_CLOSED")
    expect_speech(one, said, callee.recorded(), "phone to phone")


@case
def echo_number_returns_the_speech_and_the_relay_counts_it(one):
    said = make_speech(one.directory / "said.wav")
    gateway = Gateway(one).start()
    phone = Phone(one, "phone", said).register(gateway, "alice")
    setup_ms = phone.call("*43")
    time.sleep(wav_seconds(said) + 0.8)
    phone.hang_up()
    phone.wait("CALL_CLOSED")
    expect_speech(one, said, phone.recorded(), "echo")
    call = gateway.ended_call()
    rooms = [room for room in gateway.ctl("stats")["relay"]["calls"] if room["call_id"] == call["wzp_call_id"]]
    expect(rooms, "the relay's counters do not know the call")
    wanted = 0.9 * wav_seconds(said) * 50
    for side in ("caller", "callee"):
        expect(rooms[0][side + "_datagrams"] >= wanted,
               f"the relay forwarded {rooms[0][side + '_datagrams']} datagrams of the {side}, expected {wanted:.0f}")
    one.note(f"set-up {setup_ms:.0f} ms")


@case
def round_trip_over_an_echoing_client_is_measured(one):
    """One-way delay: half of what speech needs from the phone to the client and back."""
    said = make_speech(one.directory / "said.wav")
    gateway = Gateway(one).start()
    client = Client(one, "carol", ["--echo", "--accept", "trusted", "answer"], relay=gateway.relay)
    fingerprint = client.registered()
    phone = Phone(one, "phone", said).register(gateway, "alice")
    phone.dial(fingerprint.replace(":", ""))
    up = phone.wait("CALL_ESTABLISHED")
    first_packet = phone.wait("CALL_RTPESTAB")
    time.sleep(wav_seconds(said) + 0.8)
    phone.hang_up()
    phone.wait("CALL_CLOSED")
    verdict = judge(one, "compare", phone.recorded("enc"), phone.recorded("dec"))
    # The two recordings begin when the phone sends and when it hears the first packet.
    round_trip_ms = verdict["delay_ms"] + (first_packet["at_s"] - up["at_s"]) * 1000
    one.note(f"round trip {round_trip_ms:.0f} ms, one way about {round_trip_ms / 2:.0f} ms")
    expect(0 < round_trip_ms < 600, f"a round trip of {round_trip_ms:.0f} ms")


@case
def digits_of_the_phone_are_heard_as_tones(one):
    gateway = Gateway(one).start()
    quiet = one.directory / "quiet.wav"
    subprocess.run(["sox", "-n", "-r", "48000", "-c", "1", "-b", "16", str(quiet), "trim", "0", "8"], check=True)
    client = answering_client(one, gateway)
    phone = Phone(one, "phone", quiet).register(gateway, "alice")
    phone.call(client.fingerprint.replace(":", ""))
    client.wait("setup")
    time.sleep(0.5)
    phone.digits("1590#")
    time.sleep(2.5)
    phone.hang_up()
    client.wait("ended")
    client.program.wait(10)
    heard = judge(one, "digits", client.recording)["digits"]
    expect(heard == "1590#", f"dialled 1590#, heard {heard!r}")


@case
def duplicate_and_reordered_rtp_is_heard_clean(one):
    said = make_speech(one.directory / "said.wav")
    raw = one.directory / "said.ul"
    subprocess.run(["sox", str(said), "-t", "ul", "-r", "8000", "-c", "1", str(raw)], check=True,
                   stderr=subprocess.DEVNULL)
    gateway = Gateway(one).start()
    client = answering_client(one, gateway)
    phone = RawPhone(gateway, "alice")
    call = phone.invite(client.fingerprint.replace(":", ""))
    expect(call.final().status == 200, "the call was not answered")
    call.acknowledge()

    def order(slot):
        """Each fourth pair swapped, each tenth frame twice."""
        if slot % 8 == 0:
            return [slot + 1]
        if slot % 8 == 1:
            return [slot - 1]
        return [slot, slot] if slot % 10 == 5 else [slot]

    call.send_rtp(raw.read_bytes(), order)
    call.bye()
    client.wait("ended")
    client.program.wait(10)
    stats = gateway.ended_call()["media"]
    expect(stats["rtp_duplicate"] > 10, f"only {stats['rtp_duplicate']} duplicates were noticed")
    expect_speech(one, said, client.recording, "reordered RTP")
    phone.close()


@case
def late_offer_is_answered_in_the_ack(one):
    """An INVITE without SDP: the 200 carries the offer, the ACK the answer."""
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "alice")
    call = phone.invite("*43", body="")
    answer = call.final()
    expect(answer.status == 200 and "m=audio" in answer.body, f"{answer.first} with body {answer.body!r}")
    call.acknowledge(phone.sdp("0"))
    call.send_rtp(b"\xff" * 8000)
    call.bye()
    phone.close()
    ended = gateway.ended_call()
    expect(ended["codec"] == "PCMU", f"codec {ended['codec']}")
    expect(ended["media"]["rtp_rx"] == 50 and ended["media"]["rtp_tx"] > 25, f"media {ended['media']}")


@case
def five_calls_at_once_on_one_identity_end_one_by_one(one):
    """Five native callers, one SIP user: each call is its own and each hang-up ends only its own."""
    gateway = Gateway(one, users=[{"name": "alice", "max_calls": 10}, "bob"]).start()
    phone = Phone(one, "phone", None).register(gateway, "alice")
    target = gateway.fingerprint("alice")
    clients = []
    for number in range(5):
        clients.append(Client(one, f"caller{number}", ["--tone", "440", "call", target], relay=gateway.relay))
        clients[-1].wait("setup", 15)
        phone.wait("CALL_ESTABLISHED")

    def active():
        return sum(1 for call in gateway.calls() if not call["ended_us"])

    wait_until("five calls", 5, lambda: active() == 5)
    for left, client in zip((4, 3, 2, 1, 0), clients):
        client.program.process.terminate()
        client.program.wait(10)
        wait_until(f"{left} calls left", 5, lambda: active() == left)
        phone.wait("CALL_CLOSED")
        time.sleep(0.2)
        expect(active() == left, f"one hang-up left {active()} calls instead of {left}")
        for other in clients[5 - left:]:
            expect(other.last("ended") is None, "a call ended that nobody hung up")
