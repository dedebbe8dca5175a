"""The processes: local server, commands that run together."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest
import requests
from flask import Flask

from app import serving
from app.errors import SettingsError


def hello() -> Flask:
    app = Flask("hello")
    app.add_url_rule("/", view_func=lambda: "hello")
    return app


@pytest.mark.enable_socket
def test_a_local_server_answers_and_is_gone_afterwards() -> None:
    with serving.listening_locally() as listening, serving.serve_locally(hello(), listening) as url:
        assert requests.get(url, timeout=5).text == "hello"
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


@pytest.mark.enable_socket
def test_a_port_that_is_taken_is_told() -> None:
    with serving.listening_locally() as listening:
        second = serving.listening_locally(listening.getsockname()[1])
        with pytest.raises(SettingsError, match="is taken"):
            second.__enter__()


def test_the_end_of_one_command_ends_the_others() -> None:
    started = time.monotonic()
    status = serving.run_together(
        [[sys.executable, "-c", "raise SystemExit(3)"], [sys.executable, "-c", "import time; time.sleep(60)"]]
    )
    assert status == 3
    assert time.monotonic() - started < 30


def test_a_command_that_ends_well_is_still_the_end() -> None:
    assert serving.run_together([[sys.executable, "-c", "pass"]]) == 1


def test_a_signal_stops_every_command_and_is_no_failure() -> None:
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
    handler = signal.getsignal(signal.SIGTERM)
    assert serving.run_together([[sys.executable, "-c", "import time; time.sleep(60)"]] * 2) == 0
    assert signal.getsignal(signal.SIGTERM) is handler
