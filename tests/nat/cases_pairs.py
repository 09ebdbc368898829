"""Who goes direct: every pair of NATs, in both directions of the call, and with a client that does not know that its NAT is
symmetric. Between our own kind both sides dial, so all works but two that both need to know the other's next mapping."""
import itertools
import time

import registry
from harness import expect, expect_speech, make_speech, wait_until, wav_seconds
from lab import CONE, KINDS, SYMMETRIC, Lab

OTHER_SPEECH = ("She sells sea shells by the sea shore and boxes quietly, "
                "while the lazy dog jumps over the quick brown fox at last.")
# The bounds of the design are for programs without sanitizers on a machine that has nothing else to do.
SLOW_MACHINE = 5
MAX_DIRECT_MS = 500 * SLOW_MACHINE
MAX_RELAY_MS = 2500 * SLOW_MACHINE
SETTLED_S = 3.2                 # the race is over at both sides: its budget, and one second for the one that follows
TALK_DATAGRAMS = 120
FRAMES_PER_SECOND = 50
# Both sides are filtered by port, and one of them at least does not know its own.
NEVER_DIRECT = {frozenset((CONE, SYMMETRIC)), frozenset((SYMMETRIC,))}


def since_setup_ms(client, event):
    return event["t_ms"] - client.last("setup")["t_ms"]


def path_of(client):
    event = client.last("path")
    return event["path"] if event else None


class Call:
    """One call between a and b, from the first ring on."""

    def __init__(self, lab, caller="a", caller_arguments=(), callee_arguments=(), knows_stun=True):
        self.lab, self.one = lab, lab.case
        callee = "b" if caller == "a" else "a"
        self.callee = lab.client(callee, f"callee-{callee}", *callee_arguments, "--accept", "trusted", "answer",
                                 knows_stun=knows_stun)
        target = self.callee.registered()
        self.caller = lab.client(caller, f"caller-{caller}", *caller_arguments, "call", target, knows_stun=knows_stun)
        for client in self.both():
            client.wait("media_up", 15)

    def both(self):
        return self.caller, self.callee

    def at(self, site):
        return self.caller if self.caller.name.endswith(f"-{site}") else self.callee

    def wait_for_path(self, wanted, seconds, what=""):
        wait_until(f"both to be {wanted}{what}", seconds, lambda: all(path_of(client) == wanted for client in self.both()))

    def note_path(self, wanted, bound_ms):
        """Writes down when each side came to the path that it has now."""
        took = [since_setup_ms(client, client.last("path")) for client in self.both()]
        self.one.note(f"{wanted} {took[0]} and {took[1]} ms after the set-up")
        expect(max(took) <= bound_ms, f"{wanted} only after {took} ms")

    def talk(self, wanted, datagrams=TALK_DATAGRAMS):
        """Lets both speak, and expects that media takes the wanted path and no other, both ways. Counts instead of timing: a
        busy machine is late, but does not take another path."""
        carried, forwarded = self.lab.carried(), self.lab.relay.forwarded()
        heard = [self.at(site).heard() for site in "ab"]
        wait_until(f"{datagrams} datagrams each way", datagrams / FRAMES_PER_SECOND * SLOW_MACHINE,
                   lambda: all(self.at(site).heard() - then >= datagrams for site, then in zip("ab", heard)))
        forwarded = self.lab.relay.forwarded() - forwarded
        carried = [now - then for now, then in zip(self.lab.carried(), carried)]
        heard = [self.at(site).heard() - then for site, then in zip("ab", heard)]
        self.one.note(f"heard {heard[0]} and {heard[1]}; {carried[0]} and {carried[1]} packets past the relay, "
                      f"{forwarded} datagrams through it")
        if wanted == "direct":
            expect(min(carried) >= datagrams / 2 and forwarded == 0,
                   f"direct, yet {carried} past the relay, {forwarded} through it")
        else:
            # What still tries to be direct, if anything, is far from being media.
            expect(forwarded >= sum(heard) - FRAMES_PER_SECOND and max(carried) < datagrams / 4,
                   f"on the relay, yet {carried} past it, {forwarded} through it for {heard} heard")
        for client in self.both():
            expect(path_of(client) == wanted, f"{client.name} is on the path {path_of(client)}")

    def hang_up(self):
        """The caller's SIGTERM; both must know why it ended."""
        self.caller.program.process.terminate()
        self.expect_end(self.caller, "local")
        self.expect_end(self.callee, "normal", by_peer=True)
        expect(self.caller.program.wait(15) == 0 and self.callee.program.wait(15) == 0, "a client failed")

    def expect_end(self, client, reason, by_peer=None, seconds=15):
        ended = client.wait("ended", seconds)
        expect(ended["reason"] == reason and by_peer in (None, ended["by_peer"]),
               f"{client.name} ended with {ended}, not {reason}")
        return ended


def set_up(kinds, call):
    """Sees the call onto the path that its NATs allow; which one that is."""
    wanted = "relay" if frozenset(kinds) in NEVER_DIRECT else "direct"
    if wanted == "relay":
        time.sleep(SETTLED_S)
    call.wait_for_path(wanted, MAX_DIRECT_MS / 1000)
    call.note_path(wanted, MAX_DIRECT_MS if wanted == "direct" else MAX_RELAY_MS)
    return wanted


def run_with_speech(one, kinds):
    said = {"caller": make_speech(one.directory / "caller.wav"),
            "callee": make_speech(one.directory / "callee.wav", OTHER_SPEECH)}
    heard = {name: one.directory / f"heard-by-{name}.wav" for name in said}
    with Lab(one, {4: kinds[0]}, {4: kinds[1]}) as lab:
        call = Call(lab, "a", *(["--play", said[name], "--record", heard[name]] for name in said))
        start = time.monotonic()
        call.talk(set_up(kinds, call))
        time.sleep(max(0, start + max(map(wav_seconds, said.values())) + 1 - time.monotonic()))
        call.hang_up()
    expect_speech(one, said["caller"], heard["callee"], "caller to callee")
    expect_speech(one, said["callee"], heard["caller"], "callee to caller")


def run_with_tone(one, kinds, caller="a", knows_stun=True):
    with Lab(one, {4: kinds[0]}, {4: kinds[1]}) as lab:
        call = Call(lab, caller, ["--tone", "440"], ["--tone", "600"], knows_stun)
        call.talk(set_up(kinds, call))
        call.hang_up()


def add(name, function, *arguments):
    registry.CASES.append(registry.Entry(name, lambda one: function(one, *arguments), False, False))


def result_of(kinds):
    return "go_over_the_relay" if frozenset(kinds) in NEVER_DIRECT else "go_direct"


for pair in itertools.combinations_with_replacement(KINDS, 2):
    add(f"{pair[0]}_calls_{pair[1]}_and_both_{result_of(pair)}", run_with_speech, pair)
    if pair[0] != pair[1]:
        add(f"{pair[1]}_calls_{pair[0]}_and_both_{result_of(pair)}", run_with_tone, pair, "b")
for other in KINDS:
    pair = (SYMMETRIC, other)
    add(f"{SYMMETRIC}_that_nobody_told_so_calls_{other}_and_both_{result_of(pair)}", run_with_tone, pair, "a", False)
