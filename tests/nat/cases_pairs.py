"""Who goes direct: every pair of NATs, in both directions of the call, and with a client that does not know that its NAT is
symmetric. Between our own kind both sides dial, so all works but two that both need to know the other's next mapping."""
import itertools
import time

import registry
from calls import HEARD, Call
from harness import expect_speech, make_speech, wav_seconds
from lab import CONE, KINDS, SYMMETRIC, Lab

OTHER_SPEECH = ("She sells sea shells by the sea shore and boxes quietly, "
                "while the lazy dog jumps over the quick brown fox at last.")
# Both sides are filtered by port, and one of them at least does not know its own.
NEVER_DIRECT = {frozenset((CONE, SYMMETRIC)), frozenset((SYMMETRIC,))}


def path_between(kinds):
    return "relay" if frozenset(kinds) in NEVER_DIRECT else "direct"


def run_with_speech(one, kinds):
    said = {"caller": make_speech(one.directory / "caller.wav"),
            "callee": make_speech(one.directory / "callee.wav", OTHER_SPEECH)}
    heard = {name: one.directory / f"heard-by-{name}.wav" for name in said}
    with Lab(one, {4: kinds[0]}, {4: kinds[1]}) as lab:
        call = Call(lab, "a", *(["--play", said[name], "--record", heard[name]] for name in said))
        start = time.monotonic()
        call.expect_path(path_between(kinds))
        call.talk(path_between(kinds))
        time.sleep(max(0, start + max(map(wav_seconds, said.values())) + 1 - time.monotonic()))
        call.hang_up()
    expect_speech(one, said["caller"], heard["callee"], "caller to callee", **HEARD)
    expect_speech(one, said["callee"], heard["caller"], "callee to caller", **HEARD)


def run_with_tone(one, kinds, caller="a", knows_stun=True):
    with Lab(one, {4: kinds[0]}, {4: kinds[1]}) as lab:
        call = Call(lab, caller, ["--tone", "440"], ["--tone", "600"], knows_stun)
        call.expect_path(path_between(kinds))
        call.talk(path_between(kinds))
        call.hang_up()


def add(name, function, *arguments):
    registry.CASES.append(registry.Entry(name, lambda one: function(one, *arguments), False, False))


def result_of(kinds):
    return {"relay": "go_over_the_relay", "direct": "go_direct"}[path_between(kinds)]


for pair in itertools.combinations_with_replacement(KINDS, 2):
    add(f"{pair[0]}_calls_{pair[1]}_and_both_{result_of(pair)}", run_with_speech, pair)
    if pair[0] != pair[1]:
        add(f"{pair[1]}_calls_{pair[0]}_and_both_{result_of(pair)}", run_with_tone, pair, "b")
for other in KINDS:
    pair = (SYMMETRIC, other)
    add(f"{SYMMETRIC}_that_nobody_told_so_calls_{other}_and_both_{result_of(pair)}", run_with_tone, pair, "a", False)


@registry.case
def two_in_one_house_go_direct_inside_of_it(one):
    """Their public address is the same, and nobody is let back in from inside: their own addresses have to do."""
    with Lab(one, {4: SYMMETRIC}) as lab:
        call = Call(lab, "a", ["--tone", "440"], ["--tone", "600"])
        call.expect_path("direct")
        call.talk("direct")
        call.hang_up()


@registry.case
def a_callee_that_keeps_its_addresses_is_spoken_to_over_the_relay(one):
    with Lab(one, {4: CONE}, {4: CONE}) as lab:
        call = Call(lab, "a", ["--tone", "440"], ["--tone", "600", "--accept", "generic"])
        call.expect_path("relay")
        call.talk("relay")
        call.hang_up()


@registry.case
def a_caller_that_hides_its_addresses_is_spoken_to_over_the_relay(one):
    with Lab(one, {4: CONE}, {4: CONE}) as lab:
        call = Call(lab, "a", ["--tone", "440", "--hide-addresses"], ["--tone", "600"])
        call.expect_path("relay")
        call.talk("relay")
        call.hang_up()
