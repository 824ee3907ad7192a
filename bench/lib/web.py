"""One request over HTTPS or plain HTTP on loopback, as a browser would send it; name and certificate are checked."""

import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Answer:
    """Header names in lower case; the body as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    spoken: str


def ask(host: str, port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None,
        trust: Path | None = None, plain: bool = False, timeout: float = 15.0) -> Answer:
    """Raises `OSError` where there is no answer. `trust`: the one certificate that is believed; without it any is."""
    connection, spoken = http.client.HTTPConnection(host, port, timeout=timeout), "plain HTTP"
    connection.sock = socket.create_connection(("127.0.0.1", port), timeout)
    try:
        if not plain:
            context = ssl.create_default_context(cafile=str(trust)) if trust else ssl._create_unverified_context()
            context.set_alpn_protocols(["http/1.1"])
            connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
            spoken = f"{connection.sock.version()} {connection.sock.cipher()[0]}"
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read(), spoken)
    except http.client.HTTPException as error:
        raise OSError(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
