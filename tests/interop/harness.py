"""What the interop cases stand on: programs started and ended one by one, a gateway on free ports, a real phone (baresip),
the native client, speech and the judge of it.

Everything a case starts lives in its own directory and dies with the case, by its own process id. Nothing sleeps for luck:
each wait has a condition and a deadline, and says what it was waiting for when it gives up."""
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LOOPBACK = "127.0.0.1"

SPEECH = ("The quick brown fox jumps over the lazy dog, while five wizards box quietly. "
          "Every word of this sentence has to arrive.")
MIN_SIMILARITY = 0.90
MAX_DROPOUT_MS = 60

# Leaks count: a program that ends with one fails its case (exit status 23 is LeakSanitizer's).
SANITIZER_TROUBLE = re.compile(r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:)")


class Failure(Exception):
    """The case failed; the text says what was expected and what came."""


def expect(condition, reason):
    if not condition:
        raise Failure(reason)


def wait_until(what, seconds, condition):
    """The first true value of condition(), asked every 20 ms."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.02)


_given_ports = set()
# So many ports only a case that runs alone asks for, when nobody uses those given out earlier.
LARGE_RANGE = 200


def free_port(count=1, kinds=(socket.SOCK_DGRAM, socket.SOCK_STREAM)):
    """First of count consecutive ports that are free for UDP and TCP now and were not given to anyone before."""
    for _ in range(500):
        first = random.randrange(10000, 32000 - count, 2)
        wanted = range(first, first + count)
        if count < LARGE_RANGE and _given_ports.intersection(wanted):
            continue
        opened = []
        try:
            for port in wanted:
                for kind in kinds:
                    opened.append(socket.socket(socket.AF_INET, kind))
                    opened[-1].bind((LOOPBACK, port))
            _given_ports.update(wanted)
            return first
        except OSError:
            continue
        finally:
            for sock in opened:
                sock.close()
    raise Failure(f"no {count} free ports found")


class Program:
    """A child process with its output in a log file; on_line sees each line of stdout as it comes. How a helper, which is
    not under test, ends is of no interest."""

    def __init__(self, case, name, command, on_line=None, env=None, cwd=None, is_helper=False):
        self.name, self.is_helper = name, is_helper
        self.log_path = case.directory / f"{name}.log"
        self._log = open(self.log_path, "ab", buffering=0)
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stderr=self._log, cwd=cwd or case.directory,
            stdout=subprocess.PIPE if on_line else self._log,
            env=dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1", **(env or {})))
        self._reader = None
        if on_line:
            self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
            self._reader.start()
        case.programs.append(self)

    def _read(self, on_line):
        for line in self.process.stdout:
            self._log.write(line)
            on_line(line.decode(errors="replace").rstrip("\n"))

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def wait(self, seconds):
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {seconds} s") from None
        if self._reader:
            self._reader.join(5)
        return status

    def kill(self):
        """Ends it the hard way, as a crash or a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=15):
        """SIGTERM and its exit status; a program that does not listen is killed and is a failure."""
        if self.is_running():
            self.process.terminate()
        if self.is_helper:
            try:
                return self.process.wait(1)
            except subprocess.TimeoutExpired:
                return self.kill()
        try:
            return self.wait(seconds)
        except Failure:
            self.kill()
            raise

    def check_sanitizers(self):
        found = SANITIZER_TROUBLE.search(self.log())
        expect(not found, f"{self.name}: {found and found[0]}, see {self.log_path}")


class Case:
    """Directory and programs of one test case."""

    def __init__(self, bins, directory):
        self.bins = pathlib.Path(bins).resolve()
        self.directory = pathlib.Path(directory).resolve()
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.programs = []
        self.notes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        trouble = None
        for program in reversed(self.programs):
            try:
                program.stop()
                program.check_sanitizers()
            except Failure as failure:
                trouble = trouble or failure
        if kind is None and trouble:
            raise trouble
        if kind is None:
            shutil.rmtree(self.directory, ignore_errors=True)
        return False

    def note(self, text):
        """A measured value for the line of the verdict."""
        self.notes.append(text)

    def run(self, name, command, seconds=30, ok=(0,)):
        """Runs a program to its end; its output."""
        program = Program(self, name, command)
        status = program.wait(seconds)
        expect(status in ok, f"{name} ended with status {status}: {program.log().strip()[-400:]}")
        program.check_sanitizers()
        return program.log()


# Sound


def make_speech(path, text=SPEECH, lead_s=0.6, tail_s=0.6):
    """48 kHz mono WAV of spoken text with silence around it, at a level no codec clips."""
    raw = path.with_suffix(".raw.wav")
    subprocess.run(["espeak-ng", "-s", "150", "-w", str(raw), text], check=True)
    subprocess.run(["sox", str(raw), "-r", "48000", "-c", "1", "-b", "16", str(path), "norm", "-6",
                    "pad", str(lead_s), str(tail_s)], check=True, stderr=subprocess.DEVNULL)
    raw.unlink()
    return path


def make_tone(path, seconds=60, hertz=440):
    """48 kHz mono WAV of a sine."""
    subprocess.run(["sox", "-n", "-r", "48000", "-c", "1", "-b", "16", str(path), "synth", str(seconds), "sine", str(hertz),
                    "vol", "0.3"], check=True)
    return path


def wav_seconds(path):
    return float(subprocess.run(["soxi", "-D", str(path)], check=True, capture_output=True, text=True).stdout)


def judge(case, *arguments):
    """What the audio judge says, as a dictionary."""
    done = subprocess.run([str(case.bins / "judge"), *map(str, arguments), "--json"], capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Failure(f"judge {' '.join(map(str, arguments))}: {done.stderr.strip() or 'no verdict'}") from None


def expect_speech(case, sent, got, what, least=MIN_SIMILARITY, most_ms=MAX_DROPOUT_MS):
    """The speech sent is in the recording got, at least so similar and without a longer drop-out; the judge's verdict."""
    expect(got and pathlib.Path(got).exists(), f"{what}: nothing was recorded")
    verdict = judge(case, "compare", sent, got)
    case.note(f"{what}: similarity {verdict['similarity']:.3f}, longest drop-out {verdict['longest_dropout_ms']:.0f} ms")
    expect(verdict["similarity"] >= least, f"{what}: similarity {verdict['similarity']:.3f} < {least}")
    expect(verdict["longest_dropout_ms"] <= most_ms, f"{what}: a drop-out of {verdict['longest_dropout_ms']:.0f} ms")
    return verdict


# Events


class Events:
    """Dictionaries that a peer reports, in order, with the time they came. Waiting consumes up to the one found."""

    def __init__(self):
        self._items = []
        self._seen = 0
        self._changed = threading.Condition()

    def add(self, event):
        with self._changed:
            self._items.append(dict(event, at_s=time.monotonic()))
            self._changed.notify_all()

    def wait(self, what, seconds, wanted):
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                while self._seen < len(self._items):
                    event = self._items[self._seen]
                    self._seen += 1
                    if wanted(event):
                        return event
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"waited {seconds} s for {what}; came: {[self._short(e) for e in self._items[-8:]]}")
                self._changed.wait(left)

    def all(self):
        with self._changed:
            return list(self._items)

    @staticmethod
    def _short(event):
        return event.get("event") if isinstance(event.get("event"), str) else event.get("type"), event.get("param") or \
            event.get("reason")


class Phone:
    """baresip: an independent SIP phone, told what to do over its control connection."""

    CODECS = {"PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1", "opus": "opus/48000/2"}

    def __init__(self, case, name, play=None, address=LOOPBACK):
        self.case, self.name, self.address = case, name, address
        self.directory = case.directory / name
        (self.directory / "snd").mkdir(parents=True)
        self.play = play or make_tone(self.directory / "tone.wav")
        self.events = Events()
        self.account = None
        control = free_port()
        (self.directory / "accounts").write_text("")
        (self.directory / "config").write_text(self._config(control))
        self.program = Program(case, name, ["baresip", "-f", self.directory, "-v"], cwd=self.directory,
                               is_helper=True)
        self._control = wait_until(f"{name}'s control port", 10, lambda: self._connect(control))
        threading.Thread(target=self._read, daemon=True).start()

    def _config(self, control):
        rtp = free_port(20)
        lines = ["poll_method epoll", f"sip_listen {self.address}:{free_port(2)}", "call_local_timeout 120",
                 "call_max_calls 20", "audio_player nil,nil",
                 f"audio_source aufile,{self.play}",
                 "audio_alert nil,nil", "ausrc_srate 48000", "auplay_srate 48000", "ausrc_channels 1",
                 "auplay_channels 1", "audio_buffer 20-160", f"rtp_ports {rtp}-{rtp + 19}", "jitter_buffer_delay 1-5",
                 f"net_interface {self.address}", "module_path /usr/lib/baresip/modules"]
        lines += [f"module {name}.so" for name in ("opus", "g711", "aufile", "sndfile")]
        lines += ["module_tmp uuid.so", "module_tmp account.so", "module_app menu.so", "module_app ctrl_tcp.so",
                  f"ctrl_tcp_listen {LOOPBACK}:{control}", "opus_bitrate 28000", "opus_stereo no", "opus_sprop_stereo no",
                  "snd_path snd"]  # relative: it cuts the path of a recording at 127 bytes
        return "\n".join(lines) + "\n"

    def _connect(self, port):
        expect(self.program.is_running(), f"{self.name} ended at once: {self.program.log().strip()[-300:]}")
        try:
            return socket.create_connection((LOOPBACK, port), 1)
        except OSError:
            return None

    def _read(self):
        """Netstrings: "length:json,"."""
        pending = b""
        self._control.settimeout(None)
        while True:
            try:
                chunk = self._control.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            pending += chunk
            while True:
                length, colon, rest = pending.partition(b":")
                if not colon or len(rest) < int(length) + 1:
                    break
                self.events.add(json.loads(rest[:int(length)]))
                pending = rest[int(length) + 1:]

    def command(self, command, params=None):
        message = {"command": command, "token": command}
        if params is not None:
            message["params"] = params
        text = json.dumps(message).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def wait(self, kind, seconds=10):
        return self.events.wait(f"{kind} at {self.name}", seconds, lambda event: event.get("type") == kind)

    def register(self, gateway, user, password=None, transport="udp", codecs=("PCMU",), answer="auto", regint=60):
        """Registers an account; waits for success unless password is wrong on purpose (see try_register)."""
        self.try_register(gateway, user, password, transport, codecs, answer, regint)
        self.wait("REGISTER_OK")
        return self

    def try_register(self, gateway, user, password=None, transport="udp", codecs=("PCMU",), answer="auto", regint=60):
        self.gateway, self.transport = gateway, transport
        suffix = "" if transport == "udp" else f";transport={transport}"
        password = gateway.password(user) if password is None else password
        self.command("uanew", f"<sip:{user}@{gateway.address}:{gateway.sip_port}{suffix}>;auth_user={user};auth_pass={password}"
                              f";regint={regint};answermode={answer}"
                              f";audio_codecs={','.join(self.CODECS[codec] for codec in codecs)}")

    def dial(self, number):
        suffix = "" if self.transport == "udp" else f";transport={self.transport}"
        self.dialled_at_s = time.monotonic()
        self.command("dial", f"sip:{number}@{self.gateway.address}:{self.gateway.sip_port}{suffix}")

    def call(self, number, seconds=12):
        """Dials and waits until the call is up; the set-up time in ms."""
        self.dial(number)
        established = self.events.wait(f"an answer from {number}", seconds,
                                       lambda e: e.get("type") in ("CALL_ESTABLISHED", "CALL_CLOSED"))
        expect(established["type"] == "CALL_ESTABLISHED", f"call to {number} failed: {established.get('param')}")
        return (established["at_s"] - self.dialled_at_s) * 1000

    def refused(self, number, seconds=12):
        """Dials a number that is not answered; what the phone was told, like "404 Not Found"."""
        self.dial(number)
        return self.wait("CALL_CLOSED", seconds)["param"]

    def hang_up(self):
        self.command("hangup")

    def digits(self, digits):
        self.command("sndcode", digits)

    def recorded(self, which="dec"):
        """The newest recording of what came in ("dec") or went out ("enc")."""
        found = sorted((self.directory / "snd").glob(f"dump-*-{which}.wav"), key=lambda path: path.stat().st_mtime)
        return found[-1] if found else None


class Client:
    """wzp-client with JSON events."""

    def __init__(self, case, name, arguments, relay=None, seed=None):
        self.name = name
        self.events = Events()
        self.seed = seed or case.directory / f"{name}.seed"
        command = [case.bins / "wzp-client", "--json", "--seed-file", self.seed]
        if relay:
            command += ["--relay", relay]
        self.program = Program(case, name, command + list(arguments), on_line=self._line)

    def _line(self, line):
        try:
            self.events.add(json.loads(line))
        except ValueError:
            pass  # an ordinary message, kept in the log

    def wait(self, kind, seconds=10):
        return self.events.wait(f"{kind} at {self.name}", seconds, lambda event: event.get("event") == kind)

    def registered(self, seconds=10):
        """Waits for the registration; the fingerprint."""
        return self.wait("registered", seconds)["fingerprint"]

    def last(self, kind):
        found = [event for event in self.events.all() if event.get("event") == kind]
        return found[-1] if found else None
