"""The race between our client and the reference's behind every pair of NATs, in network namespaces: an internet that is a
bridge with the relay on it, and on each side a host, behind a router unless it is "open". Needs root.

In the reference's race one side dials and the other waits, decided by the texts of their addresses, so what comes of a pair
depends on that role too. docs/interop.md has the table."""
import os
import subprocess
import time

from gateway import Relay, colons
from harness import Client, Program, expect, wait_until
from peers_common import CALLER_SEED, FRAMES_PER_SECOND, TALK_S, Harness
from registry import CASES, Entry

KINDS = ("open", "full", "cone", "symmetric")
PUBLIC, HOUSE = "203.0.113", "10.77.0"  # networks; the relay is host 1
# Last number of the public address: of two texts the larger one's owner dials.
OURS, THEIRS = 15, {"dialer": 18, "acceptor": 12}
MAX_DIRECT_MS, MAX_RELAY_MS = 2500, 4000

NFT_NAT = "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100 ; }; "
NFT_CONE = NFT_NAT + "add rule ip nat out oifname wan masquerade"
NFT_SYMMETRIC = NFT_NAT + "add rule ip nat out oifname wan masquerade random,fully-random"
# Linux takes a packet that comes uninvited for the beginning of a connection and would map our own to another port.
NFT_FILTER = "add table ip filter; add chain ip filter in { type filter hook input priority 0 ; }; " \
             "add rule ip filter in iifname wan ct state new drop; " \
             "add chain ip filter through { type filter hook forward priority 0 ; }; " \
             "add rule ip filter through iifname wan ct status dnat accept; " \
             "add rule ip filter through iifname wan ct state new drop"
NFT_FULL = "add chain ip nat in { type nat hook prerouting priority -100 ; }; " \
           "add rule ip nat in iifname wan udp dport 1024-65535 dnat to "


class Place:
    """A network namespace. Stands in for the case when a program is to run inside."""

    def __init__(self, one, name):
        self.one, self.name = one, name
        self.holder = Program(one, f"net-{name}", ["unshare", "--net", "sleep", "600"], is_helper=True)
        path = f"/proc/{self.holder.process.pid}/ns/net"
        here = os.stat("/proc/self/ns/net").st_ino
        wait_until(f"the network of {name}", 5, lambda: os.stat(path).st_ino != here)
        self.prefix = ["nsenter", f"--net={path}"]
        self.run("ip", "link", "set", "lo", "up")
        self.bins = one.directory / f"bin-{name}"
        self.bins.mkdir()
        for program in ("wzp-client", "wzp-relay"):
            script = self.bins / program
            script.write_text(f"#!/bin/sh\nexec {' '.join(self.prefix)} {one.bins / program} \"$@\"\n")
            script.chmod(0o755)

    def __getattr__(self, name):
        return getattr(self.one, name)

    def run(self, *words):
        subprocess.run([*self.prefix, *(str(word) for word in words)], check=True)

    def connect(self, name, other, other_name):
        """A cable to another place."""
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", other_name, "netns", other.holder.process.pid)

    def set_up(self, interface, address):
        self.run("ip", "address", "add", address, "dev", interface)
        self.run("ip", "link", "set", interface, "up")


class Internet(Place):
    """Or, with a private network, a house."""

    def __init__(self, one, network=PUBLIC):
        super().__init__(one, "internet")
        self.network, self.relay_host = network, f"{network}.1"
        self.run("ip", "link", "add", "bridge", "type", "bridge")
        self.set_up("bridge", f"{self.relay_host}/24")

    def _plug(self, place, interface, number):
        self.connect(f"to-{number}", place, interface)
        self.run("ip", "link", "set", f"to-{number}", "master", "bridge", "up")
        place.set_up(interface, f"{self.network}.{number}/24")

    def host(self, name, kind, number):
        """A host of the kind; its public address ends in number."""
        host = Place(self.one, name)
        if kind == "open":
            self._plug(host, "eth0", number)
            return host
        router = Place(self.one, f"{name}-router")
        self._plug(router, "wan", number)
        router.connect("lan", host, "eth0")
        router.set_up("lan", f"10.{number}.0.1/24")
        host.set_up("eth0", f"10.{number}.0.2/24")
        host.run("ip", "route", "add", "default", "via", f"10.{number}.0.1")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        router.run("nft", NFT_SYMMETRIC if kind == "symmetric" else NFT_CONE)
        router.run("nft", NFT_FILTER)
        if kind == "full":
            router.run("nft", f"{NFT_FULL}10.{number}.0.2")
        return host


def expected_path(our_kind, their_kind, their_role):
    """The dialer's packets must get in. The reference's acceptor says nothing; ours knocks at the addresses that it was
    told, which opens a cone for whoever comes from there."""
    if their_role == "acceptor":
        return "direct" if their_kind in ("open", "full") else "relay"
    return "direct" if our_kind in ("open", "full") or our_kind == "cone" and their_kind != "symmetric" else "relay"


def call_and_expect(one, internet, places, their_role, wanted):
    """The peer at the second place calls our client at the first one."""
    here, there = places
    relay = Relay(internet)
    relay.address = f"{internet.relay_host}:{relay.port}"
    relay.start()
    client = Client(here, "callee", ["answer", "--accept", "trusted", "--tone", "440"], relay=relay.address)
    peer = Harness(there, "rust-peer", relay.address, "call", colons(client.registered()), seed=CALLER_SEED)
    up, theirs = client.wait("media_up", 15), peer.wait("media_up", 15)
    role = (peer.last("race") or {}).get("role")
    expect(role == their_role, f"the peer's role: {role}")
    setup_ms = up["t_ms"] - client.last("setup")["t_ms"]
    time.sleep(TALK_S)
    paths = client.last("path")["path"], theirs["path"]
    one.note(f"{paths[0]}; ours {setup_ms} ms after the set-up, theirs {theirs['setup_ms']} ms")
    client.program.process.terminate()
    client.wait("ended")
    peer.wait("ended")
    peer.program.wait(5)
    expect(paths == (wanted, wanted), f"ours took {paths[0]}, theirs {paths[1]}, expected {wanted}")
    most_ms = MAX_DIRECT_MS if wanted == "direct" else MAX_RELAY_MS
    expect(setup_ms <= most_ms and theirs["setup_ms"] <= most_ms, f"{setup_ms} and {theirs['setup_ms']} ms")
    heard = client.last("media")["rx"], peer.last("media")["rx"]
    expect(min(heard) > 0.6 * TALK_S * FRAMES_PER_SECOND, f"ours heard {heard[0]}, theirs {heard[1]}")


def add_house_case(their_role):
    """All in one house: no address is public, and host addresses are shared."""
    def run(one):
        house = Internet(one, HOUSE)
        places = house.host("ours", "open", OURS), house.host("theirs", "open", THEIRS[their_role])
        call_and_expect(one, house, places, their_role, "direct")

    CASES.append(Entry(f"our_client_and_a_rust_{their_role}_at_a_relay_in_the_house_go_direct", run, False, False))


def add_nat_cell(our_kind, their_kind, their_role):
    def run(one):
        internet = Internet(one)
        here = internet.host("ours", our_kind, OURS)
        there = internet.host("theirs", their_kind, THEIRS[their_role])
        call_and_expect(one, internet, (here, there), their_role, expected_path(our_kind, their_kind, their_role))

    CASES.append(Entry(f"our_{our_kind}_client_and_a_{their_kind}_rust_{their_role}_take_the_"
                       f"{expected_path(our_kind, their_kind, their_role)}_path_between_nats", run, False, False))


for role_there in THEIRS:
    add_house_case(role_there)

for here_is in KINDS:
    for there_is in KINDS:
        for role_there in THEIRS:
            add_nat_cell(here_is, there_is, role_there)
