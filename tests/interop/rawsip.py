"""A SIP phone that does exactly what a case says, message by message, for what no real phone does on purpose: late offers,
codecs nobody has, vanishing, RTP in the wrong order. Only UDP, only MD5 digest, one socket a phone."""
import hashlib
import random
import re
import socket
import struct
import time

from harness import LOOPBACK, Failure, expect, free_port

FRAME_SAMPLES = 160  # 20 ms of G.711


class Message:
    """A parsed request or response; header names are lower case, values in order of arrival."""

    def __init__(self, data, source):
        head, _, self.body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        self.source = source
        self.first, *lines = head.split("\r\n")
        self.headers = []
        for line in lines:
            name, _, value = line.partition(":")
            name = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
                    "c": "content-type", "k": "supported"}.get(name.strip().lower(), name.strip().lower())
            self.headers.append((name, value.strip()))
        words = self.first.split(" ", 2)
        self.is_response = words[0] == "SIP/2.0"
        self.status = int(words[1]) if self.is_response else 0
        self.method = (self.header("cseq") or "0 ?").split()[1] if self.is_response else words[0]

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name):
        return [value for key, value in self.headers if key == name]


class RawPhone:
    """Plain SIP over UDP towards one gateway."""

    def __init__(self, gateway, user, password=None):
        self.gateway, self.user = gateway, user
        self.password = gateway.password(user) if password is None else password
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self.port = self.socket.getsockname()[1]
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp_port = free_port()
        self.rtp.bind((LOOPBACK, self.rtp_port))
        self.target = (LOOPBACK, gateway.sip_port)
        self.pending = []
        self.cseq = random.randrange(1, 10000)

    def close(self):
        self.socket.close()
        self.rtp.close()

    def uri(self, user=None):
        return f"sip:{user + '@' if user else ''}{LOOPBACK}:{self.gateway.sip_port}"

    # Messages

    def send(self, text_lines, body=""):
        text = "\r\n".join([*text_lines, f"Content-Length: {len(body)}", "", body])
        self.socket.sendto(text.encode(), self.target)

    def receive(self, what, seconds, wanted):
        """The next message that wanted() takes; others wait their turn. Requests of no interest are not answered."""
        for message in self.pending:
            if wanted(message):
                self.pending.remove(message)
                return message
        deadline = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                message = Message(*self.socket.recvfrom(65536))
            except TimeoutError:
                raise Failure(f"waited {seconds} s for {what}; held back: {[m.first for m in self.pending]}") from None
            if wanted(message):
                return message
            self.pending.append(message)
            if time.monotonic() > deadline:
                raise Failure(f"waited {seconds} s for {what}")

    def reply(self, request, status, reason="OK", extra=(), body=""):
        lines = [f"SIP/2.0 {status} {reason}"]
        lines += [f"Via: {via}" for via in request.all("via")]
        lines += [f"Record-Route: {route}" for route in request.all("record-route")]
        to = request.header("to")
        if status > 100 and ";tag=" not in to:
            to += f";tag=raw{random.getrandbits(32):08x}"
        lines += [f"From: {request.header('from')}", f"To: {to}", f"Call-ID: {request.header('call-id')}",
                  f"CSeq: {request.header('cseq')}", f"Contact: <sip:{self.user}@{LOOPBACK}:{self.port}>", *extra]
        self.send(lines, body)

    def authorization(self, challenge, method, uri):
        field = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge.partition(" ")[2]))

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        ha1, ha2 = md5(f"{self.user}:{field['realm']}:{self.password}"), md5(f"{method}:{uri}")
        answer = f'Digest username="{self.user}", realm="{field["realm"]}", nonce="{field["nonce"]}", uri="{uri}"'
        nonce = field["nonce"]
        if "qop" in field:
            response = md5(f"{ha1}:{nonce}:00000001:c0ffee:auth:{ha2}")
            answer += f', qop=auth, nc=00000001, cnonce="c0ffee", response="{response}"'
        else:
            response = md5(f"{ha1}:{nonce}:{ha2}")
            answer += f', response="{response}"'
        return answer + (f', opaque="{field["opaque"]}"' if "opaque" in field else "") + ", algorithm=MD5"

    def register(self, expires=120):
        """The final response to a REGISTER, digest included."""
        call_id, tag = f"reg-{random.getrandbits(48):x}", f"{random.getrandbits(32):x}"
        extra = []
        for _ in range(2):
            self.cseq += 1
            self.send([f"REGISTER {self.uri()} SIP/2.0",
                       f"Via: SIP/2.0/UDP {LOOPBACK}:{self.port};branch=z9hG4bK{random.getrandbits(48):x};rport",
                       "Max-Forwards: 70", f"From: <{self.uri(self.user)}>;tag={tag}", f"To: <{self.uri(self.user)}>",
                       f"Call-ID: {call_id}", f"CSeq: {self.cseq} REGISTER",
                       f"Contact: <sip:{self.user}@{LOOPBACK}:{self.port}>", f"Expires: {expires}", *extra])
            response = self.receive("an answer to REGISTER", 5,
                                    lambda m: m.is_response and m.method == "REGISTER" and m.status >= 200)
            if response.status != 401 or extra:
                return response
            extra = ["Authorization: " + self.authorization(response.header("www-authenticate"), "REGISTER", self.uri())]
        return response

    def sdp(self, payloads="0 101", direction="sendrecv"):
        maps = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000", "18": "G729/8000", "3": "GSM/8000",
                "111": "opus/48000/2"}
        lines = ["v=0", f"o=- {random.getrandbits(30)} 1 IN IP4 {LOOPBACK}", "s=-", f"c=IN IP4 {LOOPBACK}", "t=0 0",
                 f"m=audio {self.rtp_port} RTP/AVP {payloads}"]
        lines += [f"a=rtpmap:{number} {maps[number]}" for number in payloads.split()]
        return "\r\n".join([*lines, f"a={direction}", ""])

    def invite(self, number, body=None, extra=()):
        """A RawCall whose INVITE is under way, credentials sent."""
        call = RawCall(self, number, self.sdp() if body is None else body, extra)
        call.start()
        return call


class RawCall:
    """One outgoing call of a RawPhone."""

    def __init__(self, phone, number, body, extra):
        self.phone, self.body, self.extra = phone, body, list(extra)
        self.request_uri = phone.uri(number)
        self.call_id = f"raw-{random.getrandbits(64):x}"
        self.tag = f"{random.getrandbits(32):x}"
        self.to = f"<{self.request_uri}>"
        self.target_uri = self.request_uri
        self.routes = []
        self.answer = None

    def _lines(self, method, uri, cseq, branch, to=None):
        return [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {LOOPBACK}:{self.phone.port};branch={branch};rport",
                "Max-Forwards: 70", f"From: <{self.phone.uri(self.phone.user)}>;tag={self.tag}", f"To: {to or self.to}",
                f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}",
                f"Contact: <sip:{self.phone.user}@{LOOPBACK}:{self.phone.port}>"] + [f"Route: {r}" for r in self.routes]

    def _mine(self, message, method):
        return message.is_response and message.header("call-id") == self.call_id and message.method == method

    def _send_invite(self, authorization):
        self.phone.cseq += 1
        self.cseq, self.branch = self.phone.cseq, f"z9hG4bK{random.getrandbits(48):x}"
        self.auth = authorization
        lines = self._lines("INVITE", self.request_uri, self.cseq, self.branch) + self.extra + authorization
        if self.body:
            lines.append("Content-Type: application/sdp")
        self.phone.send(lines, self.body)

    def start(self):
        self._send_invite([])
        first = self.phone.receive("an answer to INVITE", 5, lambda m: self._mine(m, "INVITE") and m.status != 100)
        if first.status in (401, 407):
            self._ack(first)
            name = "www-authenticate" if first.status == 401 else "proxy-authenticate"
            field = "Authorization" if first.status == 401 else "Proxy-Authorization"
            self._send_invite([f"{field}: " + self.phone.authorization(first.header(name), "INVITE", self.request_uri)])
        else:
            self.phone.pending.append(first)

    def _ack(self, response):
        if response.status < 300:
            return
        self.phone.send(self._lines("ACK", self.request_uri, self.cseq, self.branch, response.header("to")))

    def progress(self, status, seconds=10):
        """Waits for a provisional response with this status."""
        return self.phone.receive(f"{status}", seconds, lambda m: self._mine(m, "INVITE") and m.status == status)

    def final(self, seconds=12):
        """The final response to the INVITE; anything but a 2xx is acknowledged."""
        response = self.phone.receive("a final answer to INVITE", seconds,
                                      lambda m: self._mine(m, "INVITE") and m.status >= 200)
        self._ack(response)
        if response.status < 300:
            self.answer = response
            self.to = response.header("to")
            contact = response.header("contact") or f"<{self.request_uri}>"
            self.target_uri = re.sub(r"^.*<|>.*$", "", contact)
            self.routes = response.all("record-route")[::-1]
        return response

    def acknowledge(self, body=""):
        """ACK of the 200; with a body when the offer came late."""
        lines = self._lines("ACK", self.target_uri, self.cseq, f"z9hG4bK{random.getrandbits(48):x}")
        if body:
            lines.append("Content-Type: application/sdp")
        self.phone.send(lines, body)

    def remote_rtp(self):
        body = self.answer.body
        return (re.search(r"c=IN IP4 (\S+)", body)[1], int(re.search(r"m=audio (\d+)", body)[1]))

    def cancel(self):
        lines = self._lines("CANCEL", self.request_uri, self.cseq, self.branch)
        self.phone.send(lines)
        return self.phone.receive("200 to CANCEL", 5, lambda m: self._mine(m, "CANCEL"))

    def bye(self):
        self.phone.cseq += 1
        self.phone.send(self._lines("BYE", self.target_uri, self.phone.cseq, f"z9hG4bK{random.getrandbits(48):x}"))
        response = self.phone.receive("200 to BYE", 5, lambda m: self._mine(m, "BYE"))
        expect(response.status == 200, f"BYE was answered {response.status}")

    def expect_bye(self, seconds=10):
        """The gateway ends the call; its BYE, answered."""
        request = self.phone.receive("BYE from the gateway", seconds,
                                     lambda m: not m.is_response and m.method == "BYE"
                                     and m.header("call-id") == self.call_id)
        self.phone.reply(request, 200)
        return request

    def send_rtp(self, ulaw, order=None, mangle=None):
        """Sends G.711 frames of 20 ms in real time. order(i) gives the indexes to send in the i-th slot, which may repeat
        and swap frames; the default sends each once."""
        target = self.remote_rtp()
        frames = [ulaw[i:i + FRAME_SAMPLES] for i in range(0, len(ulaw) - FRAME_SAMPLES + 1, FRAME_SAMPLES)]
        start, ssrc = time.monotonic(), random.getrandbits(32)
        for slot in range(len(frames)):
            for index in (order(slot) if order else [slot]):
                if 0 <= index < len(frames):
                    header = struct.pack(">BBHII", 0x80, 0x80 if index == 0 else 0, (1000 + index) & 0xffff,
                                         (FRAME_SAMPLES * index + 8000) & 0xffffffff, ssrc)
                    self.phone.rtp.sendto(header + frames[index], target)
            time.sleep(max(0.0, start + 0.02 * (slot + 1) - time.monotonic()))
