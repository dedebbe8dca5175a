"""What Pipedrive makes of the HTML of a note, and what a person then reads. Part of the simulator."""

from __future__ import annotations

import html
from html.parser import HTMLParser

MAX_CHARS = 100_000
_INLINE = frozenset({"a", "b", "strong", "i", "em", "u", "s", "span", "code"})
_BLOCKS = frozenset({"br", "p", "div", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "pre", "hr"})
_KEPT = _INLINE | _BLOCKS
_EMPTY = frozenset({"br", "hr"})
_SILENT = frozenset({"script", "style", "title", "iframe", "object"})


class _Sanitizer(HTMLParser):
    """Keeps a few tags and the addresses of links; comments and every other attribute are dropped."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.html: list[str] = []
        self.text: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        if tag not in _KEPT or self._silent:
            return
        href = dict(attrs).get("href") or ""
        is_link = tag == "a" and href.startswith(("http://", "https://", "mailto:"))
        self.html.append(f'<a href="{html.escape(href)}">' if is_link else f"<{tag}>")
        if tag in _BLOCKS:
            self.text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _KEPT - _EMPTY and not self._silent:
            self.html.append(f"</{tag}>")
            if tag in _BLOCKS:
                self.text.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.html.append(html.escape(data, quote=False))
            self.text.append(data)


def sanitized(content: str) -> str:
    """Return the HTML that is stored."""
    return "".join(_read(content).html)


def text_of(content: str) -> str:
    """Return the lines a person reads."""
    lines = (line.strip() for line in "".join(_read(content).text).splitlines())
    return "\n".join(line for line in lines if line)


def _read(content: str) -> _Sanitizer:
    parser = _Sanitizer()
    parser.feed(content)
    parser.close()
    return parser
