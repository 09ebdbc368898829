"""The programs under test: the gateway with a generated configuration, the relay, and identities of native clients."""
import json
import pathlib
import re
import secrets
import socket
import subprocess

from harness import LOOPBACK, Client, Failure, Program, expect, free_port, wait_until

RTP_PORTS = 80
# From the gateway's own directory: a Unix socket's path may not be long.
CONTROL_SOCKET = "data/ctl.sock"


class Gateway:
    """wzp-gateway on free ports. users: names, or dictionaries with more settings; directory: entries as in the config;
    relay: None for the embedded one, "host:port" for another; the other arguments are merged into groups of the
    configuration."""

    def __init__(self, case, users=("alice", "bob"), directory=(), relay=None, name="gateway", rtp_ports=RTP_PORTS,
                 relay_settings=None, **settings):
        self.case, self.name, self.address = case, name, LOOPBACK
        self.sip_port = free_port()
        self.relay_port = free_port() if relay is None else int(relay.rpartition(":")[2])
        self.relay = relay or f"{LOOPBACK}:{self.relay_port}"
        self.directory = case.directory / name
        self.directory.mkdir(exist_ok=True)
        self.users = [dict({"name": user} if isinstance(user, str) else user) for user in users]
        for number, user in enumerate(self.users):
            user.setdefault("password", secrets.token_hex(8))
            user.setdefault("number", str(1001 + number))
        rtp = free_port(rtp_ports, kinds=(socket.SOCK_DGRAM,))
        self.config = {
            "data_dir": "data",
            "sip": {"listen": f"{LOOPBACK}:{self.sip_port}"},
            "media": {"ports_first": rtp, "ports_last": rtp + rtp_ports - 1},
            "relay": {"listen": self.relay} if relay is None else {"embedded": False, "connect": relay},
            "users": self.users,
            "directory": list(directory),
            "log": {"level": "debug"},
        }
        for group, values in dict(settings, relay=relay_settings or {}).items():
            self.config.setdefault(group, {}).update(values)
        self.program = None
        self.starts = 0

    def password(self, user):
        return next((entry["password"] for entry in self.users if entry["name"] == user), "nobody-has-this")

    def write_config(self):
        """JSON is YAML."""
        path = self.directory / "wzp-gateway.yaml"
        path.write_text(json.dumps(self.config, indent=2) + "\n")
        return path

    def start(self, ready=True):
        """Starts it and waits until it says it is healthy; with ready=False only until it answers at all."""
        self.starts += 1
        self.program = Program(self.case, f"{self.name}-{self.starts}",
                               [self.case.bins / "wzp-gateway", "--config", self.write_config()], cwd=self.directory)
        wait_until(f"{self.name} to be ready", 15, lambda: self.answers(ready))
        return self

    def answers(self, ready=True):
        """Is it up (ready=False), is it able to place calls (ready=True)?"""
        expect(self.program.is_running(), f"{self.name} ended: {self.program.log().strip()[-500:]}")
        try:
            health = self.ctl("health")
            return not ready or health.get("ready")
        except Failure:
            return False

    def stop(self):
        status = self.program.stop()
        expect(status == 0, f"{self.name} ended with status {status} after SIGTERM")

    def ctl(self, *arguments):
        """What wzpctl prints for a command, parsed."""
        done = subprocess.run([str(self.case.bins / "wzpctl"), "--socket", CONTROL_SOCKET, "--json", *arguments],
                              capture_output=True, text=True, timeout=10, cwd=self.directory)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failure(f"wzpctl {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[:300]}") from None

    def calls(self):
        return self.ctl("show", "calls")

    def last_call(self):
        calls = self.calls()
        expect(calls, f"{self.name} knows of no call")
        return calls[-1]

    def ended_call(self, seconds=5):
        """The newest call, once it is over."""
        return wait_until("the call to be over", seconds, lambda: next(
            (call for call in [self.last_call()] if call["ended_us"]), None))

    def fingerprint(self, user):
        return next(row["fingerprint"] for row in self.ctl("show", "users") if row["name"] == user)

    def log(self):
        return self.program.log()


class Relay:
    """wzp-relay on its own."""

    def __init__(self, case, port=None, name="relay", arguments=()):
        self.case, self.name, self.arguments = case, name, list(arguments)
        self.port = port or free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        self.program = None

    def start(self):
        self.program = Program(self.case, self.name, [
            self.case.bins / "wzp-relay", "--listen", self.address,
            "--identity", self.case.directory / f"{self.name}.identity", *self.arguments])
        wait_until(f"{self.name} to listen", 10, self._answers)
        return self

    def _answers(self):
        expect(self.program.is_running(), f"{self.name} ended: {self.program.log().strip()[-500:]}")
        done = subprocess.run([str(self.case.bins / "wzp-client"), "--relay", self.address, "ping"],
                              capture_output=True, timeout=10)
        return done.returncode == 0


def colons(fingerprint):
    """The form fingerprints are shown in: groups of four."""
    plain = re.sub(r"[^0-9a-f]", "", fingerprint.lower())
    return ":".join(plain[i:i + 4] for i in range(0, 32, 4))


def answering_client(case, gateway, name="carol", arguments=(), accept="trusted"):
    """A native client that answers calls at the gateway's relay; its recording is client.recording."""
    client = Client(case, name, [*arguments, "--accept", accept, "--record", case.directory / f"{name}.wav", "answer"],
                    relay=gateway.relay)
    client.recording = pathlib.Path(case.directory / f"{name}.wav")
    client.fingerprint = client.registered()
    return client


def learn_fingerprint(case, name):
    """The fingerprint of the identity in the client's seed file, made on this first use."""
    relay = Relay(case, name=f"{name}-first-relay").start()
    client = Client(case, name, ["register"], relay=relay.address)
    fingerprint = client.registered()
    client.program.stop()
    relay.program.stop()
    return fingerprint
