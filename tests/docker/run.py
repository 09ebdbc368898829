#!/usr/bin/env python3
"""The image is built and the compose file brought up by a real engine; phones call from outside. Each step is one test.

Uses the engine that runs, or starts one for itself (needs root; state in build/docker, so a second run is quick). The base
image comes from debootstrap and the machine's own Debian mirror: no image registry is asked. WZP_BASE names another one."""
import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "interop"))

from gateway import answering_client  # noqa: E402
from harness import (ROOT, Case, Failure, Phone, expect, expect_speech, free_port, make_speech,  # noqa: E402
                     wait_until, wav_seconds)

STATE = ROOT / "build" / "docker"
RELEASE = "trixie"
COMPOSE_FILE = ROOT / "docker" / "docker-compose.yml"
PROJECT = "wzptest"


class Engine:
    """A Docker engine: the one that answers already, or our own dockerd."""

    def __init__(self):
        self.process = None
        self.environment = dict(os.environ)
        if self.run(["docker", "version"], check=False).returncode == 0:
            return
        expect(os.geteuid() == 0, "no Docker engine runs, and starting one needs root")
        expect(shutil.which("dockerd"), "no Docker engine runs and dockerd is not installed")
        STATE.mkdir(parents=True, exist_ok=True)
        # A Unix socket's path may not be long, so it cannot live in the build tree.
        self.socket = f"/tmp/wzp-docker-{os.getpid()}.sock"
        self.environment["DOCKER_HOST"] = f"unix://{self.socket}"
        self.log = open(STATE / "dockerd.log", "ab")
        self.process = subprocess.Popen(
            ["dockerd", "--host", self.environment["DOCKER_HOST"], "--data-root", STATE / "data",
             "--exec-root", f"/tmp/wzp-docker-{os.getpid()}", "--pidfile", f"/tmp/wzp-docker-{os.getpid()}.pid"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        wait_until("our own Docker engine", 40, self._answers)

    def _answers(self):
        expect(self.process.poll() is None, f"dockerd ended: {(STATE / 'dockerd.log').read_text()[-400:]}")
        return self.run(["docker", "version"], check=False).returncode == 0

    def run(self, command, check=True, log=None, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.STDOUT)
        done = subprocess.run([str(word) for word in command], env=dict(self.environment, **options.pop("env", {})),
                              cwd=ROOT, **options)
        output = (done.stdout or b"").decode(errors="replace")
        if log:
            (STATE / log).write_text(output)
        if check:
            expect(done.returncode == 0, f"{' '.join(map(str, command[:4]))} failed: {output.strip()[-700:]}")
        done.text = output
        return done

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def debian_mirror():
    """Where this machine's apt gets Debian from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
                          capture_output=True, text=True)
    found = [uri for uri in done.stdout.split() if "security" not in uri]
    return found[:1]  # none: debootstrap's own default


def base_image(engine):
    """Name of an image with a bare Debian, made on first use."""
    if os.environ.get("WZP_BASE"):
        return os.environ["WZP_BASE"]
    name = f"wzp-base:{RELEASE}"
    if engine.run(["docker", "image", "inspect", name], check=False).returncode == 0:
        return name
    tree = STATE / RELEASE
    shutil.rmtree(tree, ignore_errors=True)
    engine.run(["debootstrap", "--variant=minbase", RELEASE, tree, *debian_mirror()], log="debootstrap.log")
    with subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE) as tar:
        engine.run(["docker", "import", "-", name], stdin=tar.stdout)
    shutil.rmtree(tree)
    return name


class Compose:
    """The compose file under test, on ports nobody else uses, and what the outside needs to know of it."""

    def __init__(self, engine, base):
        self.engine = engine
        # Any address of this host that containers reach too will do; the default bridge's is one.
        self.address = engine.run(["docker", "network", "inspect", "bridge", "--format",
                                   "{{(index .IPAM.Config 0).Gateway}}"]).text.strip()
        self.sip_port, self.relay_port = free_port(), free_port()
        rtp = free_port(20, kinds=(socket.SOCK_DGRAM,))
        self.relay = f"{self.address}:{self.relay_port}"
        self.settings = {"WZP_PUBLIC_ADDRESS": self.address, "WZP_SIP_PORT": str(self.sip_port), "WZP_BASE": base,
                         "WZP_RELAY_PORT": str(self.relay_port), "WZP_RTP_FIRST": str(rtp), "WZP_RTP_LAST": str(rtp + 19)}
        plugin = engine.run(["docker", "compose", "version"], check=False).returncode == 0
        self.program = ["docker", "compose"] if plugin else ["docker-compose"]

    def run(self, *arguments, **options):
        return self.engine.run([*self.program, "-p", PROJECT, "-f", COMPOSE_FILE, *arguments], env=self.settings,
                               **options)

    def container(self, service):
        return self.run("ps", "-q", service).text.split()[-1]

    def health(self, service):
        state = json.loads(self.engine.run(["docker", "inspect", self.container(service)]).text)[0]["State"]
        expect(state["Running"] and not state.get("Restarting"),
               f"{service} does not run: {self.run('logs', '--tail', '20', service, check=False).text[-500:]}")
        return state["Health"]["Status"]

    def ctl(self, *arguments):
        return json.loads(self.run("exec", "-T", "gateway", "wzpctl", "--socket", "/data/ctl.sock", "--json",
                                   *arguments).text)

    def password(self, user):
        """As docs/docker.md tells the reader to look it up."""
        text = self.run("exec", "-T", "gateway", "cat", "/data/wzp-gateway.yaml").text
        after = text[text.index(f"name: {user}"):]
        return after.split('password: "')[1].split('"')[0]


def step_image_builds(state):
    base = base_image(state["engine"])
    state["compose"] = Compose(state["engine"], base)
    state["compose"].run("build", log="build.log")


def step_services_become_healthy(state):
    compose = state["compose"]
    compose.run("up", "-d", log="up.log")
    for service in ("relay", "gateway"):
        wait_until(f"{service} to be healthy", 60, lambda: compose.health(service) == "healthy")


def step_services_are_not_root(state):
    for service in ("relay", "gateway"):
        user = state["compose"].run("exec", "-T", service, "id", "-u").text.strip()
        expect(user.isdigit() and user != "0", f"{service} runs as user {user!r}")


def step_phone_outside_hears_its_echo(state):
    compose = state["compose"]
    with Case(state["bins"], STATE / "echo") as case:
        said = make_speech(case.directory / "said.wav")
        phone = Phone(case, "phone", said, address=compose.address).register(compose, "alice")
        setup_ms = phone.call("*43")
        time.sleep(wav_seconds(said) + 0.8)
        phone.hang_up()
        wait_until("the hang-up to reach the gateway", 5, lambda: compose.ctl("health")["calls"] == 0)
        verdict = expect_speech(case, said, phone.recorded(), "echo")
        return f"set-up {setup_ms:.0f} ms, similarity {verdict['similarity']:.3f}"


def step_client_outside_is_called_through_both(state):
    compose = state["compose"]
    with Case(state["bins"], STATE / "client") as case:
        said = make_speech(case.directory / "said.wav")
        client = answering_client(case, compose)
        phone = Phone(case, "phone", said, address=compose.address).register(compose, "bob", transport="tcp")
        phone.call(client.fingerprint.replace(":", ""))
        client.wait("setup")
        time.sleep(wav_seconds(said) + 0.8)
        phone.hang_up()
        client.wait("ended")
        client.program.wait(10)
        verdict = expect_speech(case, said, client.recording, "phone to client")
        return f"similarity {verdict['similarity']:.3f}"


def step_services_stop_cleanly(state):
    compose = state["compose"]
    containers = [compose.container(service) for service in ("relay", "gateway")]
    compose.run("stop")
    for container in containers:
        found = json.loads(state["engine"].run(["docker", "inspect", container]).text)[0]["State"]
        expect(found["ExitCode"] == 0, f"a service ended with status {found['ExitCode']}")


STEPS = (step_image_builds, step_services_become_healthy, step_services_are_not_root, step_phone_outside_hears_its_echo,
         step_client_outside_is_called_through_both, step_services_stop_cleanly)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default="build/release/bin", help="where judge and wzp-client are")
    args = parser.parse_args()
    state = {"bins": args.bin}
    try:
        state["engine"] = Engine()
    except Failure as failure:
        print(f"FAIL engine: {failure}", flush=True)
        return 1
    blocked = None
    failed = False
    try:
        for step in STEPS:
            name = step.__name__.removeprefix("step_")
            start = time.monotonic()
            try:
                if blocked:
                    raise Failure(f"needs {blocked}, which failed")
                detail = step(state)
                print(f"ok {name}  {time.monotonic() - start:.0f} s{'; ' + detail if detail else ''}", flush=True)
            except Failure as failure:
                failed = True
                print(f"FAIL {name}: {failure}".replace("\n", " | "), flush=True)
                if step in STEPS[:2]:
                    blocked = blocked or name
    finally:
        if "compose" in state:
            state["compose"].run("down", "-v", "--timeout", "10", check=False)
        state["engine"].stop()
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
