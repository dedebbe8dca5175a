"""The guarded client: where it goes, what it takes back, and how an answer becomes an error."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import responses

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    Gone,
    ProviderError,
    RateLimited,
    Rejected,
    TransientError,
    Unavailable,
)
from connectors import http as outgoing
from connectors.http import Answer, Finding, OutgoingHttp, error_of, is_public, retry_after_s

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
VENDOR = "https://api.vendor.test/things"


@pytest.fixture
def client() -> OutgoingHttp:
    return OutgoingHttp("vendor", ("vendor.test",), ("http://127.0.0.1:8001/api",))


@responses.activate
def test_an_answer_is_returned_whatever_its_status(client: OutgoingHttp) -> None:
    responses.get(VENDOR, status=418, body=b"short", headers={"X-Thing": "yes"})
    answer = client.request("GET", VENDOR, operation="things")
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (418, b"short", "yes")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.vendor.test/",
        "https://vendor.test.evil.test/",
        "https://notvendor.test/",
        "https://evil.test/?vendor.test",
        "https://vendor.test@evil.test/",
        "https://user:secret@vendor.test/",
        "https://api.vendor.test:8443/",
        "ftp://vendor.test/",
        "file:///etc/passwd",
        "http://127.0.0.1:8002/api",
        "https://127.0.0.1:8001/api",
        "https://api.vendor.test:port/",
        # What reads URLs for requests takes each of these to evil.test, or to a host of its own making.
        "https://evil.test\\.vendor.test/",
        "https://evil.test\\@api.vendor.test/",
        "https://evil.test%2f.vendor.test/",
        "https://evil.test;.vendor.test/",
        "https://evil.test\x00.vendor.test/",
        "https://evil.test .vendor.test/",
        "https://[fe80::1%25.vendor.test]/",
        "https://[::1/",
        "",
        "//vendor.test/",
    ],
)
@responses.activate
def test_another_address_is_refused_before_anything_is_sent(client: OutgoingHttp, url: str) -> None:
    with pytest.raises(Rejected):
        client.request("GET", url, operation="things")
    assert len(responses.calls) == 0


@pytest.mark.parametrize("url", ["https://vendor.test/", "https://a.b.VENDOR.test/", "http://127.0.0.1:8001/other"])
@responses.activate
def test_the_vendor_and_what_the_operator_chose_are_reached(client: OutgoingHttp, url: str) -> None:
    responses.get(url)
    assert client.request("GET", url, operation="things").status == 200


@responses.activate
def test_a_redirect_is_not_followed(client: OutgoingHttp) -> None:
    responses.get(VENDOR, status=302, headers={"Location": "http://169.254.169.254/"})
    answer = client.request("GET", VENDOR, operation="things")
    assert answer.status == 302
    assert type(error_of(answer, provider="vendor", operation="things", now=NOW)) is Unavailable


@pytest.mark.parametrize(
    "failure", [requests.ConnectTimeout(), requests.ReadTimeout(), requests.ConnectionError(), OSError()]
)
@responses.activate
def test_no_answer_is_unavailable(client: OutgoingHttp, failure: Exception) -> None:
    responses.get(VENDOR, body=failure)
    with pytest.raises(Unavailable):
        client.request("GET", VENDOR, operation="things")


@responses.activate
def test_too_much_is_refused() -> None:
    responses.get(VENDOR, body=b"x" * 2_000)
    with pytest.raises(Rejected, match="too much"):
        OutgoingHttp("vendor", ("vendor.test",), max_bytes=1_000).request("GET", VENDOR, operation="things")


@responses.activate
def test_a_body_that_drips_is_given_up(client: OutgoingHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10_000, 100))
    monkeypatch.setattr(outgoing.time, "monotonic", lambda: next(ticks))
    responses.get(VENDOR, body=b"x")
    with pytest.raises(Unavailable, match="slowly"):
        client.request("GET", VENDOR, operation="things")


class Bomb(BaseHTTPRequestHandler):
    body = gzip.compress(b"\0" * 20_000_000)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives
        pass


@pytest.fixture
def bomb() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bomb)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_cap_counts_what_is_unpacked(bomb: str) -> None:
    with pytest.raises(Rejected, match="too much"):
        OutgoingHttp("vendor", (), (bomb,)).request("GET", bomb, operation="things")


def test_a_name_that_points_inside_is_refused(monkeypatch: pytest.MonkeyPatch, client: OutgoingHttp) -> None:
    inside = [(2, 1, 6, "", ("10.0.0.7", 443))]
    monkeypatch.setattr(outgoing.socket, "getaddrinfo", lambda *_, **__: inside)
    monkeypatch.setattr(outgoing, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(Unavailable):
        client.request("GET", VENDOR, operation="things")


def test_the_address_that_was_looked_at_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch, client: OutgoingHttp
) -> None:
    answers = iter([[(2, 1, 6, "", ("93.184.216.34", 443))], [(2, 1, 6, "", ("10.0.0.7", 443))]])
    connected = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", lambda *_, **__: next(answers))
    monkeypatch.setattr(outgoing, "create_connection", connect)
    with pytest.raises(Unavailable):
        client.request("GET", VENDOR, operation="things")
    assert connected == [("93.184.216.34", 443)]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104  # an address to refuse
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::",
        "64:ff9b::10.0.0.1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "ff02::1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "fec0::1",
        "64:ff9b:1::10.0.0.1",
        "5f00::1",
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34"]
)
def test_an_address_outside_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, AccessRevoked),
        (403, AdminBlocked),
        (404, Gone),
        (408, Unavailable),
        (409, Rejected),
        (410, Gone),
        (422, Rejected),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
        (204, Unavailable),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[ProviderError]) -> None:
    error = error_of(Answer(status, {"request-id": "r-1"}, b""), provider="vendor", operation="things", now=NOW)
    assert type(error) is kind
    assert (error.provider, error.operation, error.request_id) == ("vendor", "things", "r-1")


def test_a_vendors_reason_comes_before_the_status() -> None:
    def reason(answer: Answer) -> Finding | None:
        return Finding(RateLimited, "Slowly, please", 5) if answer.json() == {"reason": "slow"} else None

    error = error_of(Answer(403, {}, b'{"reason": "slow"}'), provider="v", operation="o", now=NOW, reason=reason)
    assert isinstance(error, TransientError)
    assert (type(error), str(error), error.retry_after_s) == (RateLimited, "Slowly, please", 5)
    assert type(error_of(Answer(403, {}, b"{}"), provider="v", operation="o", now=NOW, reason=reason)) is AdminBlocked


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        (" 1.5 ", 1.5),
        ("Mon, 02 Mar 2026 08:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 08:01:00 -0000", 60),
        ("Mon, 02 Mar 2026 07:59:00 GMT", None),
        ("0", None),
        ("-5", None),
        ("999999999", 86_400),
        ("soon", None),
        ("1e9", None),
        ("", None),
        (None, None),
        ("9" * 5_000, None),
        ("Mon, 99 Foo 99999999 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 200_000])
def test_a_body_that_is_no_json_is_none(body: bytes) -> None:
    assert Answer(200, {}, body).json() is None
