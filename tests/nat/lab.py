"""The laboratory: two hosts, each behind a NAT of a kind, and on the public side a relay and a STUN server.

                                   relay  stun
                                      |    |
    host a --lan-- router a --wan--  internet  --wan-- router b --lan-- host b

Addresses are public ones, as no other counts as a mapping; a host without NAT is itself attached to the internet."""
import socket
import struct
import threading
import urllib.request

from gateway import Relay
from harness import Client, Failure
from internet import Internet
from namespace import Namespace

ONE_WAY_S = 0.010
RELAY_IP, STUN_IP = {4: "203.0.113.1", 6: "2001:db8:0:1::1"}, {4: "203.0.113.2", 6: "2001:db8:0:1::2"}
RELAY_PORT, STUN_PORT, METRICS_PORT = 4433, 3478, 9100
SITES = {"a": 11, "b": 12}

# What a host's NAT may do. Who is outside reaches
OPEN = "open"                # everything: there is no NAT
FULL_CONE = "full_cone"      # the client's port, as it is forwarded
CONE = "cone"                # what was sent to him from; the same mapping whoever is talked to
SYMMETRIC = "symmetric"      # the same, and another mapping for each who is talked to
KINDS = (OPEN, FULL_CONE, CONE, SYMMETRIC)
# IPv6 knows only these
FIREWALL = "firewall"        # no NAT: global addresses, and nobody comes in who was not talked to
V6_KINDS = (OPEN, FIREWALL)

# A masquerading router whose own ports are open is no cone: a packet that comes too early makes an entry of its own, and the
# mapping of the packet that goes out to meet it gets another port. So strangers are dropped before they make one.
NAT_RULES = """
table ip nat {{
    chain out {{ type nat hook postrouting priority 100; oifname wan masquerade {flags}; }}
    chain in {{ type nat hook prerouting priority -100; {forward} }}
}}
table ip filter {{
    chain input {{ type filter hook input priority 0; iifname wan ct state new drop; }}
    chain forward {{ type filter hook forward priority 0; iifname wan ct status dnat accept; iifname wan ct state new drop; }}
}}
"""
FIREWALL_RULES = """
table ip6 filter {
    chain forward { type filter hook forward priority 0; iifname wan ct state new drop; }
}
"""


class Site:
    """A host, what is between it and the internet, and the port of its client."""

    def __init__(self, lab, name, kind, versions, house=None):
        """house: the other site, whose router serves this host too, from another port of it."""
        self.name, self.kind = name, kind
        self.port = 40000 + SITES[name]
        self.public_ip, self.next_ip = f"203.0.113.{SITES[name]}", f"203.0.113.{SITES[name] + 100}"
        self.namespaces = []
        v4, v6 = 4 in versions, 6 in versions
        public = [f"{self.public_ip}/24"] if v4 else []
        behind_nat = v4 and kind[4] != OPEN
        if v6 and not behind_nat and kind[6] == OPEN:
            public.append(f"2001:db8:0:1::{SITES[name]}/64")
        self.host, self.router = self._namespace("host"), None
        if house:
            self._move_in(house.router)
        elif behind_nat or (v6 and kind[6] == FIREWALL):
            self._behind_router(lab, public, v4, v6)
        else:
            lab.internet.attach(self.host, name, public)

    def _namespace(self, what):
        self.namespaces.append(Namespace(f"{what} {self.name}"))
        return self.namespaces[-1]

    def _behind_router(self, lab, public, v4, v6):
        number = SITES[self.name]
        router = self.router = self._namespace("router")
        prefix = f"2001:db8:{number}:"
        if v6:
            public.append(f"2001:db8:0:1::{number}/64")
        with router:
            router.forward_packets()
            router.ip(f"link add lan type veth peer name eth0 netns {self.host.path()}", "link set lan up")
            if v6:
                router.ip(f"address add {prefix}:1/64 dev lan nodad")
                if self.kind[6] == FIREWALL:
                    router.nft(FIREWALL_RULES)
            if v4:
                router.ip(f"address add 10.{number}.0.1/24 dev lan")
                router.nft(self._nat_rules(f"10.{number}.0.2"))
        with self.host as host:
            host.ip("link set eth0 up")
            if v6:
                host.ip(f"address add {prefix}:2/64 dev eth0 nodad", f"-6 route add default via {prefix}:1")
            if v4:
                host.ip(f"address add 10.{number}.0.2/24 dev eth0", f"route add default via 10.{number}.0.1")
        lab.internet.attach(router, self.name, public, [self.next_ip, *([f"{prefix}:/64"] if v6 else [])])

    def change_public_ip(self):
        """As after a new dial-in of a DSL line: the NAT forgets its mappings, and new ones are of another address."""
        with self.router as router:
            router.ip(f"address del {self.public_ip}/24 dev wan", f"address add {self.next_ip}/24 dev wan",
                      "route replace default dev wan")

    def _move_in(self, router):
        number = SITES[self.name]
        with router:
            router.ip(f"link add lan{number} type veth peer name eth0 netns {self.host.path()}", f"link set lan{number} up",
                      f"address add 10.{number}.0.1/24 dev lan{number}")
        with self.host as host:
            host.ip("link set eth0 up", f"address add 10.{number}.0.2/24 dev eth0", f"route add default via 10.{number}.0.1")

    def _nat_rules(self, host_ip):
        forward = ""
        if self.kind[4] == FULL_CONE:
            forward = f"iifname wan udp dport {self.port} dnat to {host_ip}:{self.port};"
        return NAT_RULES.format(flags="random,fully-random" if self.kind[4] == SYMMETRIC else "", forward=forward)


class LabClient(Client):
    def heard(self):
        """Media datagrams that reached it until a moment ago: it tells each second."""
        media = self.last("media")
        return media["rx"] if media else 0


class LabRelay(Relay):
    """wzp-relay on the public side."""

    def __init__(self, case, namespace, ip):
        super().__init__(case, RELAY_PORT, arguments=["--metrics-listen", f"127.0.0.1:{METRICS_PORT}",
                                                      "--log-level", "debug"])
        self.namespace = namespace
        self.address = f"[{ip}]:{RELAY_PORT}" if ":" in ip else f"{ip}:{RELAY_PORT}"

    def start(self):
        with self.namespace:
            return super().start()

    def forwarded(self):
        """Media datagrams that it has passed on until now."""
        with self.namespace:
            page = urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=5).read().decode()
        return next(int(float(line.split()[1])) for line in page.splitlines()
                    if line.startswith("wzp_relay_packets_forwarded_total "))


class Lab:
    """kinds: those of a and b, by IP version, like {4: CONE} or {4: CONE, 6: FIREWALL}; b in a's house if None. The relay and the STUN server have an
    address of the version relay_version."""

    def __init__(self, case, a, b=None, relay_version=4):
        self.case, self.relay_version, self.one_house = case, relay_version, b is None
        self.internet = Internet(ONE_WAY_S, seed=case.directory.name)
        self.public = {}
        for name, ips in (("relay", RELAY_IP), ("stun", STUN_IP)):
            self.public[name] = Namespace(name)
            ip = ips[relay_version]
            self.internet.attach(self.public[name], name, [ip + ("/64" if ":" in ip else "/24")])
        site_a = Site(self, "a", a, set(a))
        site_b = Site(self, "b", a, set(a), site_a) if self.one_house else Site(self, "b", b, set(b))
        self.sites = {"a": site_a, "b": site_b}
        self.relay = LabRelay(case, self.public["relay"], RELAY_IP[relay_version])
        self.stun = None

    def __enter__(self):
        self.internet.start()
        self.relay.start()
        with self.public["stun"]:
            self.stun = stun_server(STUN_IP[self.relay_version])
        return self

    def __exit__(self, kind, value, trace):
        """Programs end while they still reach each other."""
        trouble = None
        for program in reversed(self.case.programs):
            try:
                program.stop()
            except Failure as failure:
                trouble = trouble or failure
        self.internet.stop()
        for namespace in [*self.public.values(), *(n for site in self.sites.values() for n in site.namespaces)]:
            namespace.close()
        if kind is None and trouble:
            raise trouble
        return False

    def client(self, site, name, *arguments, knows_stun=True, **options):
        """wzp-client on the host of a site; it asks the STUN server too, so that it sees what its NAT does."""
        stun = ["--stun", self.stun] if knows_stun else []
        with self.sites[site].host:
            return LabClient(self.case, name, ["--port", str(self.sites[site].port), *stun, *map(str, arguments)],
                          relay=self.relay.address, **options)

    def carried(self):
        """Datagrams between the sites past the relay until now, one way and the other."""
        return self.internet.sent("a", "b"), self.internet.sent("b", "a")


def stun_server(ip):
    """Tells everybody where he is seen (RFC 8489, binding only), until the namespace that it is in is gone."""
    cookie, request_kind, success, mapped_address = 0x2112A442, 0x0001, 0x0101, 0x0020
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((ip, STUN_PORT))

    def serve():
        while True:
            request, source = sock.recvfrom(2048)
            if len(request) < 20 or struct.unpack(">H", request[:2])[0] != request_kind:
                continue
            mask = struct.pack(">I", cookie) + request[8:20]
            plain = socket.inet_pton(family, source[0])
            value = struct.pack(">BBH", 0, 1 if family == socket.AF_INET else 2, source[1] ^ (cookie >> 16))
            value += bytes(x ^ y for x, y in zip(plain, mask))
            attribute = struct.pack(">HH", mapped_address, len(value)) + value
            sock.sendto(struct.pack(">HH", success, len(attribute)) + request[4:20] + attribute, source)

    threading.Thread(target=serve, daemon=True).start()
    return f"[{ip}]:{STUN_PORT}" if ":" in ip else f"{ip}:{STUN_PORT}"
