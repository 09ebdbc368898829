"""The laboratory's NATs are what they are called: else nothing that the other cases say would mean anything."""
import socket

import registry
from harness import expect
from lab import CONE, FIREWALL, FULL_CONE, OPEN, RELAY_IP, STUN_IP, SYMMETRIC, Lab

WAIT_S = 2
PORT = 5000


def udp(namespace, ip, port):
    with namespace:
        sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((ip, port))
    sock.settimeout(WAIT_S)
    return sock


def arrives(sock, text):
    """The source of the next datagram, which must be this one; None when none comes."""
    try:
        got, source = sock.recvfrom(100)
    except socket.timeout:
        return None
    expect(got == text, f"{got} came instead of {text}")
    return source[:2]


def add(kind, version, one_mapping, strangers_enter):
    """A host behind it speaks to one outside, so that two places know of it: is it seen at one address, and who may answer?
    Both always may; somebody who was not spoken to only where strangers_enter."""
    def run(one):
        with Lab(one, {version: kind}, {version: OPEN}, version) as lab:
            site = lab.sites["a"]
            inside = udp(site.host, "::" if version == 6 else "0.0.0.0", site.port)
            first = udp(lab.public["relay"], RELAY_IP[version], PORT)
            second = udp(lab.public["stun"], STUN_IP[version], PORT)
            stranger = udp(lab.public["stun"], STUN_IP[version], PORT + 1)
            seen = []
            for outside in (first, second):
                inside.sendto(b"hello", outside.getsockname()[:2])
                seen.append(arrives(outside, b"hello"))
                outside.sendto(b"answer", seen[-1])
                expect(arrives(inside, b"answer"), "an answer does not arrive")
            expect(all(seen) and (seen[0] == seen[1]) == one_mapping, f"it is seen at {seen}")
            stranger.sendto(b"knock", seen[1])
            entered = arrives(inside, b"knock") is not None
            expect(entered == strangers_enter, f"a stranger {'does' if entered else 'does not'} enter")
            for sock in (inside, first, second, stranger):
                sock.close()
    registry.CASES.append(registry.Entry(f"the_lab_{kind}_of_ipv{version}_is_one", run, False, False))


add(OPEN, 4, True, True)
add(FULL_CONE, 4, True, True)
add(CONE, 4, True, False)
add(SYMMETRIC, 4, False, False)
add(OPEN, 6, True, True)
add(FIREWALL, 6, True, False)
