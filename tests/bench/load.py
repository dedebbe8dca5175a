"""Sends prepared HTTP requests over kept connections as fast as they are answered: a client that costs little."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What came of it: answers by status, and how many a second."""

    statuses: Counter[int]
    per_s: float


def prepared(host: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return the bytes of one POST."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def send(port: int, requests: Sequence[bytes], connections: int = 16) -> Load:
    """Send each request once, shared over some connections."""
    statuses: Counter[int] = Counter()
    lock = threading.Lock()

    def run(part: Sequence[bytes]) -> None:
        found: Counter[int] = Counter()
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in part:
            client.sendall(request)
            status, is_open = _answer(client)
            found[status] += 1
            if not is_open:
                client.close()
                client = socket.create_connection(("127.0.0.1", port))
        client.close()
        with lock:
            statuses.update(found)

    threads = [threading.Thread(target=run, args=(requests[n::connections],)) for n in range(connections)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(statuses, len(requests) / (time.perf_counter() - start))


def _answer(client: socket.socket) -> tuple[int, bool]:
    """Read one answer; return its status and whether the connection stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection without an answer")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    length = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in lower else 0
    while len(body) < length:
        body += client.recv(65536)
    return int(head.split(b" ", 2)[1]), b"connection: close" not in lower
