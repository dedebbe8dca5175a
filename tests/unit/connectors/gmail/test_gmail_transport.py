"""Answers without end, whichever way they come."""

from __future__ import annotations

import gc
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from connectors.mail.gmail import transport
from connectors.mail.gmail.transport import AnswerTooLargeError, ThreadHttp


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"x" * 100_000
        self.send_response(200)
        if self.path == "/packed":
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        if self.path.startswith("/chunked"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(int(self.path.rpartition("/")[2])):
                self.wfile.write(b"3e8\r\n" + b"y" * 1_000 + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        if self.path == "/moved":
            body = b""
            self.send_header("Location", "/short")
        if self.path == "/short":
            body = self.headers["Accept-Encoding"].encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> ThreadHttp:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 50_000)
    return ThreadHttp(5)


@pytest.mark.parametrize("path", ["/long", "/packed", "/chunked/60"])
def test_too_much_is_not_taken_and_the_next_answer_is_right(url: str, http: ThreadHttp, path: str) -> None:
    with pytest.raises(AnswerTooLargeError):
        http.request(f"{url}{path}")
    assert http.request(f"{url}/short")[1] == b"identity"


def test_an_answer_in_pieces_is_put_together(url: str, http: ThreadHttp) -> None:
    assert http.request(f"{url}/chunked/40")[1] == b"y" * 40_000


def test_no_packed_answer_is_asked_for(url: str, http: ThreadHttp) -> None:
    assert http.request(f"{url}/short", headers={"accept-encoding": "gzip"})[1] == b"identity"


def test_a_client_that_is_dropped_closes_its_connections(url: str, http: ThreadHttp) -> None:
    client = ThreadHttp(5)
    client.request(f"{url}/short")
    (connection,) = client.connections.values()
    socket = connection.sock
    del client
    gc.collect()
    assert socket.fileno() == -1
