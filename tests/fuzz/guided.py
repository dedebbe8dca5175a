"""Read bytes that libFuzzer makes, led by which lines of our code they reach: `python -m tests.fuzz.guided OPTIONS`.

The options are libFuzzer's. What does not hold ends the process with a traceback and the bytes.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz until the options say that it is enough."""
    with atheris.instrument_imports(include=["app.linking", "connectors.mail.smart_bcc"]):
        from tests.fuzz import mail_reading
    atheris.Setup(sys.argv, mail_reading.read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
