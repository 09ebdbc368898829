#!/usr/bin/env python3
"""A small internet in user space that joins namespaces: it delays each packet, loses some, cuts paths, and counts who sent how
much to whom. The kernels that tests run on need no netem for it, only TUN devices.

Internet is what the tests hold; the packets are carried by a process of its own (this file as a program), so that nothing
the tests do delays them. The two speak over its standard input and output: a JSON list per line, and one in answer."""
import fcntl
import heapq
import ipaddress
import json
import os
import random
import select
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MAX_PACKET = 65536
PROTOCOL_UDP = 17


class Internet:
    """Carries packets between the sites that are attached to it. Whom nobody is attached for, is not answered."""

    def __init__(self, one_way_s, seed):
        self._settings = {"one_way_s": one_way_s, "seed": seed, "sites": {}, "routes": []}
        self._process = None
        self._lock = threading.Lock()

    def attach(self, namespace, name, addresses, networks=()):
        """Gives the namespace an interface "wan" with these addresses, of which all traffic comes here; networks behind it
        are reached through it."""
        with namespace:  # the device belongs to where its descriptor was opened
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"wan", IFF_TUN | IFF_NO_PI))
            namespace.ip("link set wan up")
            interfaces = [ipaddress.ip_interface(text) for text in addresses]
            for interface in interfaces:
                namespace.ip(f"address add {interface} dev wan" + (" nodad" if interface.version == 6 else ""))
            for version in {interface.version for interface in interfaces}:
                namespace.ip(f"-{version} route add default dev wan")
        self._settings["sites"][fd] = name
        self._settings["routes"] += [(str(network), fd) for network in [*(i.ip for i in interfaces), *networks]]

    def start(self):
        fds = list(self._settings["sites"])
        self._process = subprocess.Popen([sys.executable, __file__, json.dumps(self._settings)], pass_fds=fds, text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for fd in fds:
            os.close(fd)
        return self

    def stop(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _ask(self, *words):
        with self._lock:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def lose(self, sender, receiver, share):
        """Loses this share of all packets on one way: 1 cuts it, 0 restores it."""
        self._ask("lose", sender, receiver, share)

    def cut(self, one, other):
        """From now on nothing passes between the two sites."""
        self.lose(one, other, 1)
        self.lose(other, one, 1)

    def restore(self, one, other):
        self.lose(one, other, 0)
        self.lose(other, one, 0)

    def sent(self, sender, receiver):
        """UDP datagrams that were carried from one site to another until now."""
        return self._ask("sent", sender, receiver)


class Carrier:
    """The process behind an Internet."""

    def __init__(self, settings):
        self._one_way_s = settings["one_way_s"]
        self._random = random.Random(settings["seed"])
        self._sites = {int(fd): name for fd, name in settings["sites"].items()}
        self._networks = [(ipaddress.ip_network(network), fd) for network, fd in settings["routes"]]
        self._routes = {}           # packed address -> descriptor, what _networks said
        self._loss = {}             # (name of the sender, of the receiver) -> share of packets lost
        self._sent = {}             # the same -> UDP datagrams
        self._waiting = []          # heap of (due, number, descriptor, packet)
        self._number = 0

    def run(self):
        """Until nobody asks any more."""
        poller = select.poll()
        for fd in [sys.stdin.fileno(), *self._sites]:
            poller.register(fd, select.POLLIN)
        while True:
            left_ms = max(0, (self._waiting[0][0] - time.monotonic()) * 1000) if self._waiting else None
            for fd, _ in poller.poll(left_ms):
                if fd != sys.stdin.fileno():
                    self._take(fd)
                elif not self._answer(sys.stdin.readline()):
                    return
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(self._waiting)
                try:
                    os.write(fd, packet)
                except OSError:
                    pass  # a full queue: lost, as on any network

    def _answer(self, line):
        if not line:
            return False
        what, sender, receiver, *more = json.loads(line)
        result = None
        if what == "lose":
            self._loss[(sender, receiver)] = more[0]
        else:
            result = self._sent.get((sender, receiver), 0)
        print(json.dumps(result), flush=True)
        return True

    def _take(self, source):
        due = time.monotonic() + self._one_way_s
        while True:
            try:
                packet = os.read(source, MAX_PACKET)
            except BlockingIOError:
                return
            target = self._route(packet)
            if target is not None and target != source:
                self._carry(source, target, packet, due)

    def _route(self, packet):
        packed = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        if packed not in self._routes:
            address = ipaddress.ip_address(packed)
            self._routes[packed] = next((fd for network, fd in self._networks if address in network), None)
        return self._routes[packed]

    def _carry(self, source, target, packet, due):
        names = (self._sites[source], self._sites[target])
        if self._random.random() < self._loss.get(names, 0):
            return
        if (packet[9] if packet[0] >> 4 == 4 else packet[6]) == PROTOCOL_UDP:
            self._sent[names] = self._sent.get(names, 0) + 1
        self._number += 1
        heapq.heappush(self._waiting, (due, self._number, target, packet))


if __name__ == "__main__":
    Carrier(json.loads(sys.argv[1])).run()
