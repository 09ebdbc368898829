"""Network namespaces without a name: they are open files of this process, so whatever way it ends, nothing of them is left."""
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments):
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _open_own_network():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


class Namespace:
    """A network of its own, with loopback. "with namespace:" moves the calling thread into it: sockets that it opens there,
    threads and programs that it starts, stay there for good."""

    def __init__(self, name):
        self.name = name
        self._left = []
        before = _open_own_network()
        try:
            _call(_libc.unshare, CLONE_NEWNET)
            self.fd = _open_own_network()
            self.ip("link set lo up")
        finally:
            _call(_libc.setns, before, CLONE_NEWNET)
            os.close(before)

    def __enter__(self):
        self._left.append(_open_own_network())
        _call(_libc.setns, self.fd, CLONE_NEWNET)
        return self

    def __exit__(self, *_):
        before = self._left.pop()
        _call(_libc.setns, before, CLONE_NEWNET)
        os.close(before)
        return False

    def path(self):
        """What ip takes as the name of this namespace."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @staticmethod
    def ip(*commands):
        """Runs ip commands where the calling thread is."""
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)

    @staticmethod
    def nft(rules):
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    @staticmethod
    def forward_packets():
        for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"):
            with open(path, "w", encoding="ascii") as file:
                file.write("1")

    def close(self):
        os.close(self.fd)
