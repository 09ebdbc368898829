"""What breaks while a call is up: the direct path, the relay, a client. The call goes on where it can, and else ends at both
sides with a reason that is true."""
import time

from calls import FRAMES_PER_SECOND, SLOW_MACHINE, Call
from harness import expect
from lab import CONE, SYMMETRIC, Lab
from registry import case

MAX_BACK_ON_RELAY_S = 2.0 * SLOW_MACHINE
# QUIC's idle time-out is how the silent death of the other end is noticed.
IDLE_S = 30
LOST_SHARE = 0.1
DIRECT, RELAYED = (CONE, CONE), (SYMMETRIC, SYMMETRIC)


def lab_of(one, kinds):
    return Lab(one, {4: kinds[0]}, {4: kinds[1]})


def start_call(lab, wanted):
    call = Call(lab, "a", ["--tone", "440"], ["--tone", "600"])
    call.expect_path(wanted)
    return call


def note_since(one, since_s, events, what):
    took = [event["at_s"] - since_s for event in events]
    one.note(f"{what} after {took[0]:.1f} and {took[1]:.1f} s")
    return max(took)


@case
def a_direct_path_that_is_cut_brings_the_call_back_to_the_relay_for_good(one):
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        call.talk("direct")
        lab.internet.cut("a", "b")
        cut_s = time.monotonic()
        call.wait_for_path("relay", MAX_BACK_ON_RELAY_S, " after the cut")
        note_since(one, cut_s, [client.last("path") for client in call.both()], "back on the relay")
        call.talk("relay")
        lab.internet.restore("a", "b")
        call.talk("relay")
        for client in call.both():
            expect(client.last("unregistered") is None, f"{client.name} lost its registration")
        call.hang_up()


def cut_one_way(one, deaf, heard):
    """One of them hears nothing any more, the other everything: both have to leave."""
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        lab.internet.lose(heard, deaf, 1)
        cut_s = time.monotonic()
        call.wait_for_path("relay", MAX_BACK_ON_RELAY_S, " after the cut")
        note_since(one, cut_s, [client.last("path") for client in call.both()], "back on the relay")
        call.talk("relay")
        call.hang_up()


@case
def a_direct_path_that_is_cut_from_caller_to_callee_is_left_by_both(one):
    cut_one_way(one, deaf="b", heard="a")


@case
def a_direct_path_that_is_cut_from_callee_to_caller_is_left_by_both(one):
    cut_one_way(one, deaf="a", heard="b")


@case
def a_nat_that_gets_another_address_brings_a_direct_call_to_the_relay(one):
    """The other NAT lets the new address not in, but the relay does: neither call nor registration is lost."""
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        lab.sites["b"].change_public_ip()
        changed_s = time.monotonic()
        call.wait_for_path("relay", MAX_BACK_ON_RELAY_S, " after the change")
        note_since(one, changed_s, [client.last("path") for client in call.both()], "back on the relay")
        call.talk("relay")
        for client in call.both():
            expect(client.last("unregistered") is None, f"{client.name} lost its registration")
        call.hang_up()


@case
def a_nat_that_gets_another_address_does_not_disturb_a_relayed_call(one):
    with lab_of(one, RELAYED) as lab:
        call = start_call(lab, "relay")
        lab.sites["b"].change_public_ip()
        call.talk("relay")
        for client in call.both():
            expect(not client.last("media_down") and not client.last("unregistered"), f"{client.name} lost something")
        call.hang_up()


@case
def a_direct_call_that_loses_its_path_and_the_relay_ends_at_both_sides(one):
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        lab.relay.program.kill()
        lab.internet.cut("a", "b")
        cut_s = time.monotonic()
        ended = [call.expect_end(client, "media_lost", by_peer=False, seconds=IDLE_S) for client in call.both()]
        note_since(one, cut_s, ended, "ended")


@case
def loss_is_no_reason_to_leave_a_direct_path(one):
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        lab.internet.lose("a", "b", LOST_SHARE)
        lab.internet.lose("b", "a", LOST_SHARE)
        call.talk("direct", 6 * FRAMES_PER_SECOND)
        lost = [client.last("media")["loss_pct"] for client in call.both()]
        one.note(f"lost {lost[0]} % and {lost[1]} %")
        expect(min(lost) > 0, "nothing was lost")
        for client in call.both():
            expect(sum(event["event"] == "path" for event in client.events.all()) == 1, f"{client.name} changed its path")
        call.hang_up()


@case
def a_direct_call_outlives_its_relay_and_both_register_again(one):
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        lab.relay.program.kill()
        call.talk("direct", relay_is_up=False)
        lab.relay.start()
        for client in call.both():
            client.wait("unregistered", IDLE_S + 10)
            client.wait("registered", IDLE_S + 10)
        call.talk("direct")
        call.hang_up()


@case
def a_direct_call_without_a_relay_is_hung_up_by_one_and_so_told_to_the_other(one):
    with lab_of(one, DIRECT) as lab:
        call = start_call(lab, "direct")
        lab.relay.program.kill()
        call.talk("direct", relay_is_up=False)
        call.hang_up()


@case
def a_relayed_call_ends_with_its_relay_at_both_sides(one):
    with lab_of(one, RELAYED) as lab:
        call = start_call(lab, "relay")
        lab.relay.program.kill()
        killed_s = time.monotonic()
        ended = [call.expect_end(client, "media_lost", by_peer=False, seconds=IDLE_S + 20) for client in call.both()]
        note_since(one, killed_s, ended, "ended")


@case
def a_relayed_call_ends_at_both_sides_when_its_relay_comes_back_without_it(one):
    with lab_of(one, RELAYED) as lab:
        call = start_call(lab, "relay")
        lab.relay.program.kill()
        killed_s = time.monotonic()
        lab.relay.start()
        ended = [call.expect_end(client, "media_lost", by_peer=False, seconds=IDLE_S + 20) for client in call.both()]
        note_since(one, killed_s, ended, "ended")
        call.caller.program.wait(15)
        call.callee.program.wait(15)


def expect_end_of(ended, reason, detail):
    expect(ended["reason"] == reason and detail in ended["detail"], f"it ended with {ended}")


def kill_callee(one, kinds, wanted, restart):
    """Kills the callee; what the caller's call ended with."""
    with lab_of(one, kinds) as lab:
        call = start_call(lab, wanted)
        call.talk(wanted)  # when direct, until nobody is in the relay's room any more
        call.callee.program.kill()
        killed_s = time.monotonic()
        if restart:
            again = lab.client("b", "callee-again", "--accept", "trusted", "answer", seed=call.callee.seed)
            again.registered()
        ended = call.caller.wait("ended", 2 * IDLE_S)
        one.note(f"the caller was told {ended['reason']} after {ended['at_s'] - killed_s:.1f} s")
        if restart:
            expect(again.last("unregistered") is None, "the old registration's end took the new one away")
        call.caller.program.wait(15)
        return ended


@case
def a_callee_that_dies_on_a_direct_path_ends_the_callers_call(one):
    """Back on the relay, nobody comes into the room."""
    expect_end_of(kill_callee(one, DIRECT, "direct", restart=False), "media_lost", "did not come back")


@case
def a_callee_that_is_restarted_on_a_direct_path_ends_the_callers_call(one):
    expect_end_of(kill_callee(one, DIRECT, "direct", restart=True), "media_lost", "did not come back")


@case
def a_callee_that_dies_on_the_relay_ends_the_callers_call(one):
    """The relay misses its registration, and hangs up."""
    expect_end_of(kill_callee(one, RELAYED, "relay", restart=False), "error", "Error")


@case
def a_callee_that_is_restarted_on_the_relay_ends_the_callers_call(one):
    """The relay cannot tell a new program from a client that came back, whose calls go on: it waits for the old one's media
    connection to go quiet, and then the room is empty."""
    expect_end_of(kill_callee(one, RELAYED, "relay", restart=True), "normal", "left the room")
