"""A call between the two hosts of the laboratory, and what must be true of it."""
import time

from harness import expect, wait_until

# The bounds of the design are for programs without sanitizers on a machine that has nothing else to do.
SLOW_MACHINE = 5
MAX_DIRECT_MS = 500 * SLOW_MACHINE
MAX_RELAY_MS = 2500 * SLOW_MACHINE
SETTLED_S = 3.2                 # the race is over at both sides: its budget, and one second for the one that follows
TALK_DATAGRAMS = 120
FRAMES_PER_SECOND = 50
# What is heard has to be what was said (other speech is at 0.2). How good it sounds is judged where no program has to carry
# each packet from one network to the other in time.
HEARD = {"least": 0.5, "most_ms": 500}


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
        self.callee = lab.client(callee, f"callee-{callee}", "--accept", "trusted", *callee_arguments, "answer",
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

    def talk(self, wanted, datagrams=TALK_DATAGRAMS, relay_is_up=True):
        """Lets both speak, and expects that media takes the wanted path and no other, both ways. Counts instead of timing: a
        busy machine is late, but does not take another path."""
        carried, forwarded = self.lab.carried(), self.lab.relay.forwarded() if relay_is_up else 0
        heard = [self.at(site).heard() for site in "ab"]
        wait_until(f"{datagrams} datagrams each way", datagrams / FRAMES_PER_SECOND * SLOW_MACHINE,
                   lambda: all(self.at(site).heard() - then >= datagrams for site, then in zip("ab", heard)))
        forwarded = self.lab.relay.forwarded() - forwarded if relay_is_up else 0
        carried = [now - then for now, then in zip(self.lab.carried(), carried)]
        heard = [self.at(site).heard() - then for site, then in zip("ab", heard)]
        self.one.note(f"heard {heard[0]} and {heard[1]}; {carried[0]} and {carried[1]} packets past the relay, "
                      f"{forwarded} datagrams through it")
        if wanted == "direct" and self.lab.one_house:
            expect(max(carried) == forwarded == 0, f"{carried} packets left the house, {forwarded} went through the relay")
        elif wanted == "direct":
            expect(min(carried) >= datagrams / 2 and forwarded == 0,
                   f"direct, yet {carried} past the relay, {forwarded} through it")
        else:
            # What still tries to be direct, if anything, is far from being media.
            expect(forwarded >= sum(heard) / 2 and max(carried) < datagrams / 4,
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

    def expect_remote_version(self, client, version):
        remote = client.last("path")["remote"]
        expect(remote.startswith("[") == (version == 6), f"{client.name} speaks to {remote}, not by IPv{version}")

    def expect_path(self, wanted):
        """Sees the call onto the path that it has to take in the end, and in time."""
        if wanted == "relay":
            time.sleep(SETTLED_S)
        self.wait_for_path(wanted, MAX_DIRECT_MS / 1000)
        self.note_path(wanted, MAX_DIRECT_MS if wanted == "direct" else MAX_RELAY_MS)
