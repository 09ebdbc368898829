"""A STUN server that tells everybody the same address, as if they sat behind one known NAT (RFC 8489, binding only)."""
import socket
import struct
import threading

from harness import LOOPBACK

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS, XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x0020


def stun_server(says):
    """Serves until the run ends; says is "address:port" (IPv4). The server's own "address:port"."""
    address, _, port = says.rpartition(":")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOOPBACK, 0))
    number = struct.unpack(">I", socket.inet_aton(address))[0] ^ COOKIE
    attribute = struct.pack(">HHBBHI", XOR_MAPPED_ADDRESS, 8, 0, 1, int(port) ^ (COOKIE >> 16), number)

    def serve():
        while True:
            request, source = sock.recvfrom(2048)
            if len(request) < 20 or struct.unpack(">H", request[:2])[0] != BINDING_REQUEST:
                continue
            sock.sendto(struct.pack(">HH", BINDING_SUCCESS, len(attribute)) + request[4:20] + attribute, source)

    threading.Thread(target=serve, daemon=True).start()
    return f"{LOOPBACK}:{sock.getsockname()[1]}"
