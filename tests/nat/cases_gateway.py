"""A phone at a gateway in the house: the gateway's leg past the relay, from behind its NAT to behind the other's."""
import time

from calls import HEARD, MAX_DIRECT_MS, SLOW_MACHINE
from gateway import Gateway
from harness import Phone, expect, expect_speech, make_speech, wait_until, wav_seconds
from lab import CONE, SYMMETRIC, Lab
from registry import case

MAX_DIALS_PACKETS = 20
OTHER_SPEECH = "She sells sea shells by the sea shore; the shells that she sells are sea shells for sure, and all of them are hers."


class House:
    """Gateway and phone on host a; with speech for both sides."""

    def __init__(self, one, lab):
        self.one, self.lab = one, lab
        self.said_by_phone = make_speech(one.directory / "phone.wav")
        self.said_by_client = make_speech(one.directory / "client.wav", OTHER_SPEECH)
        self.heard_by_client = one.directory / "heard-by-client.wav"
        with lab.sites["a"].host:
            self.gateway = Gateway(one, ["alice"], relay=lab.relay.address, relay_settings={"stun": [lab.stun]}).start()
            self.phone = Phone(one, "phone", self.said_by_phone).register(self.gateway, "alice")

    def client(self, *arguments):
        return self.lab.client("b", "client", "--play", self.said_by_client, "--record", self.heard_by_client, *arguments)

    def expect_call(self, client, wanted):
        """The whole call, once it is up: both know the path, the gateway's control program shows it, and speech takes it."""
        client.wait("media_up", 15)
        start = time.monotonic()
        wait_until(f"the call to be {wanted}", MAX_DIRECT_MS / 1000, lambda: self.gateway.last_call()["path"] == wanted)
        wait_until(f"the client to be {wanted}", MAX_DIRECT_MS / 1000, lambda: client.last("path")["path"] == wanted)
        carried, forwarded = self.lab.carried(), self.lab.relay.forwarded()
        spoken_s = max(wav_seconds(self.said_by_phone), wav_seconds(self.said_by_client)) + 1
        time.sleep(max(0, start + spoken_s - time.monotonic()))
        carried = [now - then for now, then in zip(self.lab.carried(), carried)]
        forwarded = self.lab.relay.forwarded() - forwarded
        self.one.note(f"{wanted} {client.last('path')['t_ms'] - client.last('setup')['t_ms']} ms after the set-up; "
                      f"{carried[0]} and {carried[1]} packets past the relay, {forwarded} datagrams through it")
        through, beside = (sum(carried), forwarded) if wanted == "direct" else (forwarded, sum(carried))
        # A dial that has not given up yet may still send beside the relay, but nothing goes there beside a direct path.
        expect(through > 100 * spoken_s / SLOW_MACHINE and beside <= (0 if wanted == "direct" else MAX_DIALS_PACKETS),
               f"{wanted}: {carried} past the relay, {forwarded}")
        self.phone.hang_up()
        ended = client.wait("ended")
        expect(ended["reason"] == "normal" and ended["by_peer"], f"the client ended with {ended}")
        client.program.wait(10)
        call = self.gateway.ended_call()
        expect(call["path"] == wanted and call["protection"]["wzp"] == f"quic-{wanted}" and call["cause"] == "normal",
               f"wzpctl show calls says {call}")
        expect_speech(self.one, self.said_by_phone, self.heard_by_client, "phone to client", **HEARD)
        expect_speech(self.one, self.said_by_client, self.phone.recorded(), "client to phone", **HEARD)


def phone_calls(one, kinds, wanted):
    with Lab(one, {4: kinds[0]}, {4: kinds[1]}) as lab:
        house = House(one, lab)
        client = house.client("--accept", "trusted", "answer")
        house.phone.call(client.registered().replace(":", ""))
        house.expect_call(client, wanted)


@case
def a_phone_behind_a_cone_calls_a_client_behind_a_cone_and_the_gateway_goes_direct(one):
    phone_calls(one, (CONE, CONE), "direct")


@case
def a_phone_behind_a_cone_calls_a_client_behind_a_symmetric_nat_over_the_relay(one):
    phone_calls(one, (CONE, SYMMETRIC), "relay")


@case
def a_client_behind_a_cone_calls_a_phone_behind_a_cone_and_the_gateway_goes_direct(one):
    with Lab(one, {4: CONE}, {4: CONE}) as lab:
        house = House(one, lab)
        client = house.client("call", house.gateway.fingerprint("alice"))
        house.expect_call(client, "direct")
