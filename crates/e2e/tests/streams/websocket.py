"""A WebSocket server (RFC 6455) on Python's standard library: it echoes messages, and speaks first where it is asked to.

Text "push N": N messages of its own. Text "ping": it pings, and tells what the pong said. Text "bye": it closes.
"""
import base64, hashlib, os, socket, struct, threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def read_frame(stream):
    head = stream.read(2)
    if len(head) < 2:
        raise EOFError
    length = head[1] & 127
    assert head[1] & 128, "a client's frame must be masked"
    if length == 126:
        length = struct.unpack("!H", stream.read(2))[0]
    elif length == 127:
        length = struct.unpack("!Q", stream.read(8))[0]
    mask = stream.read(4)
    data = stream.read(length)
    pad = (mask * (length // 4 + 1))[:length]
    plain = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(length, "big")
    return head[0] >> 7, head[0] & 15, plain


def frame(opcode, data):
    if len(data) < 126:
        length = bytes([len(data)])
    elif len(data) < 65536:
        length = b"\x7e" + struct.pack("!H", len(data))
    else:
        length = b"\x7f" + struct.pack("!Q", len(data))
    return bytes([128 | opcode]) + length + data


def handle(stream, send, final, opcode, data, message):
    """One frame of a client; false when the connection is over."""
    if opcode == PING:
        send(frame(PONG, data))
    elif opcode == PONG:
        send(frame(TEXT, b"pong " + data))
    elif opcode == CLOSE:
        send(frame(CLOSE, data[:2]))
        return False
    else:
        message["opcode"] = opcode or message["opcode"]
        message["data"] += data
        if final:
            whole, message["data"] = message["data"], b""
            if whole.startswith(b"push "):
                for number in range(int(whole[5:])):
                    send(frame(TEXT, b"%d" % number))
            elif whole == b"ping":
                send(frame(PING, b"are you there"))
            elif whole == b"bye":
                send(frame(CLOSE, struct.pack("!H", 1001)))
            else:
                send(frame(message["opcode"], whole))
    return True


def serve(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        if not stream.readline():
            return
        fields = {}
        while (line := stream.readline().strip()):
            name, value = line.split(b":", 1)
            fields[name.lower()] = value.strip()
        if fields.get(b"upgrade", b"").lower() != b"websocket" or b"upgrade" not in fields[b"connection"].lower():
            connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: echo\r\n\r\n"
        )
        message = {"opcode": TEXT, "data": b""}
        try:
            while handle(stream, connection.sendall, *read_frame(stream), message):
                pass
        except (EOFError, OSError):
            pass


listener = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])), backlog=64)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
