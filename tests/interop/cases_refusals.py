"""Calls and registrations that must be refused, each with the right answer, and calls that end before they begin."""
import re

from gateway import Gateway, answering_client
from harness import Client, Phone, expect, wait_until
from rawsip import RawPhone
from registry import case

NOBODY = "0123456789abcdef0123456789abcdef"


def shape_of(response):
    """What of a response a stranger can compare: everything but what differs from one request to the next."""
    kept = [(name, value) for name, value in response.headers
            if name not in ("via", "from", "to", "call-id", "cseq", "date", "www-authenticate")]
    challenge = re.sub(r'(nonce|opaque)="[^"]*"', r'\1', response.header("www-authenticate") or "")
    return response.first, kept, challenge


@case
def wrong_password_and_unknown_user_get_the_same_answer(one):
    gateway = Gateway(one).start()
    wrong = RawPhone(gateway, "alice", "not-her-password")
    unknown = RawPhone(gateway, "mallory", "any")
    first, second = wrong.register(), unknown.register()
    expect(first.status in (401, 403), f"a wrong password was answered {first.first}")
    expect(shape_of(first) == shape_of(second), f"answers differ: {shape_of(first)} and {shape_of(second)}")
    expect("stale=true" not in (first.header("www-authenticate") or "").lower(), "a wrong password is not a stale nonce")
    right = RawPhone(gateway, "alice")
    expect(right.register().status == 200, "the right password is refused")
    for phone in (wrong, unknown, right):
        phone.close()


@case
def call_with_a_wrong_password_is_refused(one):
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "alice", "not-her-password")
    answer = phone.invite("*43").final()
    expect(answer.status in (401, 403, 407), f"answered {answer.first}")
    expect(not gateway.calls(), "a call was made all the same")
    phone.close()


@case
def unknown_number_is_404(one):
    gateway = Gateway(one).start()
    phone = Phone(one, "phone").register(gateway, "alice")
    told = phone.refused("999999")
    expect(told.startswith("404"), f"the phone was told {told}")


@case
def offline_wzp_user_is_480(one):
    gateway = Gateway(one).start()
    phone = Phone(one, "phone").register(gateway, "alice")
    told = phone.refused(NOBODY)
    expect(told.startswith("480"), f"the phone was told {told}")


@case
def offline_sip_user_is_480(one):
    gateway = Gateway(one).start()
    phone = Phone(one, "phone").register(gateway, "alice")
    told = phone.refused("1002")
    expect(told.startswith("480"), f"the phone was told {told}")


@case
def rejecting_client_is_603(one):
    gateway = Gateway(one).start()
    client = answering_client(one, gateway, accept="reject")
    phone = RawPhone(gateway, "alice")
    answer = phone.invite(client.fingerprint.replace(":", "")).final()
    expect(answer.status == 603, f"answered {answer.first}")
    expect("Q.850" in (answer.header("reason") or ""), f"Reason header {answer.header('reason')!r}")
    phone.close()


@case
def client_in_a_call_is_486(one):
    """A second call to a client that can only do one."""
    gateway = Gateway(one).start()
    client = answering_client(one, gateway)
    number = client.fingerprint.replace(":", "")
    first = RawPhone(gateway, "alice")
    call = first.invite(number)
    expect(call.final().status == 200, "the first call was not answered")
    call.acknowledge()
    second = RawPhone(gateway, "bob")
    answer = second.invite(number).final()
    expect(answer.status == 486, f"answered {answer.first}")
    call.bye()
    first.close()
    second.close()


@case
def busy_phone_makes_the_client_hear_busy(one):
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "alice")
    expect(phone.register().status == 200, "not registered")
    client = Client(one, "carol", ["call", gateway.fingerprint("alice")], relay=gateway.relay)
    invite = phone.receive("INVITE", 10, lambda m: m.method == "INVITE" and not m.is_response)
    phone.reply(invite, 180, "Ringing")
    client.wait("ringing")
    phone.reply(invite, 486, "Busy Here")
    reason = client.wait("ended")["reason"]
    expect(reason.lower() == "busy", f"the client was told {reason}")
    phone.close()


@case
def declining_phone_makes_the_client_hear_declined(one):
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "alice")
    expect(phone.register().status == 200, "not registered")
    client = Client(one, "carol", ["call", gateway.fingerprint("alice")], relay=gateway.relay)
    invite = phone.receive("INVITE", 10, lambda m: m.method == "INVITE" and not m.is_response)
    phone.reply(invite, 603, "Decline")
    reason = client.wait("ended")["reason"]
    expect(reason.lower() == "declined", f"the client was told {reason}")
    phone.close()


@case
def nobody_answers_and_the_caller_is_told_408(one):
    gateway = Gateway(one, sip={"ring_timeout": 5}).start()
    silent = RawPhone(gateway, "bob")
    expect(silent.register().status == 200, "not registered")
    caller = RawPhone(gateway, "alice")
    call = caller.invite("1002")
    invite = silent.receive("INVITE", 10, lambda m: m.method == "INVITE" and not m.is_response)
    silent.reply(invite, 180, "Ringing")
    call.progress(180)
    answer = call.final(15)
    expect(answer.status == 408, f"answered {answer.first}")
    silent.receive("CANCEL", 5, lambda m: m.method == "CANCEL" and not m.is_response)
    silent.close()
    caller.close()


@case
def caller_gives_up_and_the_callee_stops_ringing(one):
    gateway = Gateway(one).start()
    callee = RawPhone(gateway, "bob")
    expect(callee.register().status == 200, "not registered")
    caller = RawPhone(gateway, "alice")
    call = caller.invite("1002")
    invite = callee.receive("INVITE", 10, lambda m: m.method == "INVITE" and not m.is_response)
    callee.reply(invite, 180, "Ringing")
    call.progress(180)
    expect(call.cancel().status == 200, "CANCEL was not accepted")
    answer = call.final()
    expect(answer.status == 487, f"the INVITE ended with {answer.first}")
    cancel = callee.receive("CANCEL", 5, lambda m: m.method == "CANCEL" and not m.is_response)
    callee.reply(cancel, 200)
    callee.reply(invite, 487, "Request Terminated")
    wait_until("no call to be left", 5, lambda: all(entry["ended_us"] for entry in gateway.calls()))
    callee.close()
    caller.close()


@case
def sdp_without_a_common_codec_is_488_and_names_both_lists(one):
    gateway = Gateway(one).start()
    phone = RawPhone(gateway, "alice")
    answer = phone.invite("*43", body=phone.sdp("18 3")).final()
    expect(answer.status == 488, f"answered {answer.first}")
    warning = answer.header("warning") or ""
    for name in ("G729", "GSM", "PCMU", "opus"):
        expect(name.lower() in warning.lower(), f"the Warning does not name {name}: {warning!r}")
    phone.close()


@case
def phone_that_vanishes_ends_the_call_on_both_sides(one):
    """No BYE, no RTP: the media time-out must notice."""
    gateway = Gateway(one, media={"timeout": 3}).start()
    client = answering_client(one, gateway)
    phone = RawPhone(gateway, "alice")
    call = phone.invite(client.fingerprint.replace(":", ""))
    expect(call.final().status == 200, "not answered")
    call.acknowledge()
    call.send_rtp(b"\xff" * 8000)
    phone.close()
    client.wait("ended", 15)
    ended = gateway.ended_call(15)
    expect(ended["cause"] not in ("none", "normal"), f"the call says cause {ended['cause']}")


@case
def crashed_client_ends_the_call_on_the_phone(one):
    """The phone goes on talking: what ends the call is that nothing comes from the other side any more."""
    gateway = Gateway(one, media={"timeout": 4}).start()
    client = answering_client(one, gateway)
    phone = Phone(one, "phone").register(gateway, "alice")
    phone.call(client.fingerprint.replace(":", ""))
    client.wait("setup")
    client.program.kill()
    phone.wait("CALL_CLOSED", 40)
    ended = gateway.ended_call()
    expect(ended["cause"] not in ("none", "normal"), f"the call says cause {ended['cause']}")
