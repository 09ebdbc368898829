#!/usr/bin/env python3
"""Starts the gateway, proves it with a real call and says what to type into a phone.

The proof: baresip, an independent SIP phone, registers, dials the echo number and speaks. The speech travels over SIP and
RTP into the gateway, over QUIC to the relay, to the echo user and the whole way back. It passes when the speech that
came back is the speech that was sent and the relay's own counters saw this call's datagrams in both directions."""
import argparse
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import (LOOPBACK, MAX_DROPOUT_MS, MIN_SIMILARITY, ROOT, Case, Failure, Phone, expect, judge,  # noqa: E402
                     make_speech, wait_until, wav_seconds)

DEFAULT_CONFIG = "wzp-gateway.yaml"
FRAMES_PER_SECOND = 50


class ServedGateway:
    """The gateway as its owner runs it: his configuration, the current directory, the terminal for its log."""

    def __init__(self, bins, config, log_path):
        self.bins, self.config = bins, config
        self.log_path = log_path
        command = [str(bins / "wzp-gateway")] + (["--config", str(config)] if config else [])
        self._log = open(log_path, "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self.path = pathlib.Path(config or DEFAULT_CONFIG)

    def _expect_running(self):
        expect(self.process.poll() is None, "the gateway ended:\n" + self.log_path.read_text(errors="replace")[-1500:])

    def wait_ready(self):
        def written():
            self._expect_running()
            return self.path.exists()
        wait_until("the configuration", 10, written)
        self.read_config()

        def ready():
            self._expect_running()
            try:
                return self.ctl("health").get("ready")
            except Failure:
                return False
        wait_until("the gateway to be ready", 20, ready)

    def read_config(self):
        """Settings in force from --print-config, which hides passwords; those come from the file itself."""
        text = subprocess.run([str(self.bins / "wzp-gateway"), "--print-config", "--config", str(self.path)],
                              check=True, capture_output=True, text=True).stdout

        def setting(group, name):
            found = re.search(rf"^{group}:\n(?:[ #].*\n)*?  {name}: *\"?([^\"\n#]*?)\"? *(?:#.*)?$", text, re.M)
            return found[1] if found and found[1] != "none" else None

        self.data_dir = re.search(r'^data_dir: *"?([^"\n]+?)"?$', text, re.M)[1]
        listen = setting("sip", "listen")
        self.listen_address, _, port = listen.rpartition(":")
        self.sip_port = int(port)
        self.echo_number = setting("echo", "number")
        self.address = LOOPBACK if self.listen_address in ("0.0.0.0", "[::]") else self.listen_address
        self.relay = setting("relay", "connect")
        self.users = []
        section = re.search(r"^users:.*\n((?:(?:[ #].*)?\n)*)", self.path.read_text() + "\n", re.M)
        for entry in re.split(r"^ *- ", section[1] if section else "", flags=re.M)[1:]:
            found = {key: value for key, value in re.findall(r'^\s*(name|password|number): *"?([^"\n#]+?)"? *(?:#.*)?$',
                                                             entry, re.M)}
            if "name" in found:
                self.users.append(found)

    def password(self, user):
        text = next(entry for entry in self.users if entry["name"] == user).get("password", "")
        if text.startswith("env:"):
            return os.environ[text[4:]]
        if text.startswith("file:"):
            return pathlib.Path(text[5:]).read_text().strip()
        return text

    def ctl(self, *arguments):
        done = subprocess.run([str(self.bins / "wzpctl"), "--socket", os.path.join(self.data_dir, "ctl.sock"), "--json",
                               *arguments], capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise Failure(f"wzpctl {' '.join(arguments)}: {(done.stderr or done.stdout).strip()[:300]}") from None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def first_call(gateway, bins):
    """Places the call and returns the report's lines; raises Failure when the proof fails."""
    caller = next((user["name"] for user in gateway.users if user.get("password")), None)
    expect(caller, f"no user in {gateway.path} has a password a phone could use")
    with Case(bins, ROOT / "build" / "first-call") as case:
        said = make_speech(case.directory / "said.wav")
        phone = Phone(case, "phone", said, address=gateway.address).register(gateway, caller)
        phone.dial(gateway.echo_number)
        up = phone.events.wait(f"an answer from {gateway.echo_number}", 15,
                               lambda event: event.get("type") in ("CALL_ESTABLISHED", "CALL_CLOSED"))
        expect(up["type"] == "CALL_ESTABLISHED", f"the call was refused: {up.get('param')}")
        first_packet = phone.wait("CALL_RTPESTAB")
        time.sleep(wav_seconds(said) + 1.0)
        phone.hang_up()
        phone.wait("CALL_CLOSED")
        verdict = judge(case, "compare", said, phone.recorded())
        timing = judge(case, "compare", phone.recorded("enc"), phone.recorded("dec"))
        call = wait_until("the call's record", 5, lambda: next(
            (entry for entry in reversed(gateway.ctl("show", "calls")) if entry["ended_us"]), None))
        round_trip_ms = timing["delay_ms"] + (first_packet["at_s"] - up["at_s"]) * 1000
        report = [f"set-up      {(up['at_s'] - phone.dialled_at_s) * 1000:.0f} ms from INVITE to answer",
                  f"path        {caller} -> SIP/RTP ({call['codec']}) -> gateway -> QUIC ({call['path']}) -> echo, and back",
                  f"delay       {round_trip_ms:.0f} ms there and back",
                  f"similarity  {verdict['similarity']:.3f} (at least {MIN_SIMILARITY:.2f}), longest drop-out "
                  f"{verdict['longest_dropout_ms']:.0f} ms (at most {MAX_DROPOUT_MS})"]
        expect(verdict["similarity"] >= MIN_SIMILARITY,
               f"what came back is not what was said: similarity {verdict['similarity']:.3f}")
        expect(verdict["longest_dropout_ms"] <= MAX_DROPOUT_MS,
               f"the speech has a hole of {verdict['longest_dropout_ms']:.0f} ms")
        report.append(relay_report(gateway, call, wav_seconds(said)))
        return report


def relay_report(gateway, call, speech_s):
    """The relay's own word for it; the embedded relay's only, another one cannot be asked."""
    if gateway.relay:
        return f"relay       {gateway.relay} is not ours to ask for its counters"
    counted = next((entry for entry in gateway.ctl("stats")["relay"]["calls"]
                    if entry["call_id"] == call["wzp_call_id"]), None)
    expect(counted, "the relay has no counters of this call")
    wanted = int(0.9 * speech_s * FRAMES_PER_SECOND)
    for side in ("caller", "callee"):
        expect(counted[f"{side}_datagrams"] >= wanted, f"the relay saw {counted[f'{side}_datagrams']} datagrams from the "
                                                       f"{side}, the speech needs {wanted}")
    return f"relay       {counted['caller_datagrams']} datagrams there, {counted['callee_datagrams']} back, by its own count"


def own_address():
    """The address other machines reach this one at; connecting a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
            return sock.getsockname()[0]
        except OSError:
            return LOOPBACK


def phone_settings(gateway):
    server = own_address() if gateway.address == LOOPBACK and gateway.listen_address != LOOPBACK else gateway.address
    lines = ["", "Type this into a phone:", f"  server    {server}   port {gateway.sip_port}   UDP or TCP"]
    for user in gateway.users:
        number = f"   called as {user['number']}" if user.get("number") else ""
        lines.append(f"  user      {user['name']}   password {gateway.password(user['name'])}{number}")
    lines += [f"and dial {gateway.echo_number} to hear yourself"
              + "".join(f", {user['number']} for {user['name']}" for user in gateway.users if user.get("number")) + ".",
              f"Settings are in {gateway.path}; wzpctl shows what happens (./dev build release; "
              f"build/release/bin/wzpctl --socket {gateway.data_dir}/ctl.sock show calls)."]
    return lines


def follow(path, stop):
    """Copies what is added to the log from now on to the terminal."""
    with open(path, "rb") as log:
        log.seek(0, os.SEEK_END)
        while not stop.is_set():
            text = log.read()
            if text:
                sys.stderr.buffer.write(text)
                sys.stderr.flush()
            stop.wait(0.3)


def serve(gateway):
    print("\nServing; Ctrl-C stops.", flush=True)
    stop = threading.Event()
    follower = threading.Thread(target=follow, args=(gateway.log_path, stop))
    follower.start()
    try:
        status = gateway.process.wait()
    except KeyboardInterrupt:
        status = gateway.process.wait()  # the terminal has told it too
    finally:
        stop.set()
        follower.join()
    return 0 if status == 0 else 1


def main():
    parser = argparse.ArgumentParser(prog="./dev run", description=__doc__.split("\n")[0])
    parser.add_argument("--bin", default="build/release/bin", help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help="stop after the verdict")
    parser.add_argument("--config", help=f"configuration (default: {DEFAULT_CONFIG}, written if missing)")
    args = parser.parse_args()
    bins = pathlib.Path(args.bin).resolve()
    (ROOT / "build").mkdir(exist_ok=True)
    gateway = ServedGateway(bins, args.config, ROOT / "build" / "gateway.log")
    try:
        gateway.wait_ready()
        print(f"==> the gateway is up; a phone calls {gateway.echo_number}", flush=True)
        print("\n".join(f"  {line}" for line in first_call(gateway, bins)))
        print("The call works.")
        print("\n".join(phone_settings(gateway)), flush=True)
        return 0 if args.once else serve(gateway)
    except Failure as failure:
        print(f"The call does not work: {failure}\n(the gateway's log is build/gateway.log)", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        gateway.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    sys.exit(main())
