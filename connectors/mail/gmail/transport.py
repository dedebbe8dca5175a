"""The connections of one thread to Gmail: no redirects, and no answer without end (threats.md W14)."""

from __future__ import annotations

import http.client
import weakref
from collections.abc import Mapping
from typing import Any

import httplib2

MAX_ANSWER_BYTES = 25_000_000
_CHUNK_BYTES = 65_536


class AnswerTooLargeError(http.client.HTTPException):
    """An answer is larger than we take at once."""


class _BoundedResponse(http.client.HTTPResponse):
    """Reads a body up to the limit. One that is packed although none was asked for is not unpacked."""

    def read(self, amt: int | None = None) -> bytes:
        if amt is not None:
            return super().read(amt)
        if self.getheader("Content-Encoding", "identity") != "identity" or (self.length or 0) > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError
        if self.length is not None:
            return super().read()  # notices when less comes than was promised
        body = bytearray()
        while chunk := super().read(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise AnswerTooLargeError
        return bytes(body)


class _Http(httplib2.HTTPConnectionWithTimeout):  # type: ignore[misc]  # httplib2 has no types
    response_class = _BoundedResponse


class _Https(httplib2.HTTPSConnectionWithTimeout):  # type: ignore[misc]  # httplib2 has no types
    response_class = _BoundedResponse


class ThreadHttp(httplib2.Http):  # type: ignore[misc]  # httplib2 has no types
    """An httplib2 client for one thread; its connections are closed when the thread ends."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout=timeout_s)
        self.follow_redirects = False
        # Not __del__: the library's service is full of cycles, and in a cycle the sockets may be finalised first.
        weakref.finalize(self, _hang_up, self.connections)

    def request(self, uri: str, *args: Any, headers: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
        """Ask for an answer that is not packed, so that its size is known while it is read."""
        kwargs["connection_type"] = _Https if uri.startswith("https:") else _Http
        try:
            return super().request(uri, *args, headers={**(headers or {}), "accept-encoding": "identity"}, **kwargs)
        except AnswerTooLargeError:
            _hang_up(self.connections)  # what was not read would be taken for the next answer
            raise


def _hang_up(connections: Mapping[str, http.client.HTTPConnection]) -> None:
    """Close connections; one that is used again connects anew."""
    for connection in connections.values():
        connection.close()
