"""The HTML of a mail, made fit to be shown: a short list of elements and attributes, and nothing that loads anything.

nh3 does the cleaning. Before it, the source is written anew in one pass with fixed limits, because the parser behind
nh3 is quadratic in the depth of nesting and in the attributes of one element (20,000 nested <div>, 100 kB, take 4 s).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import unquote

import nh3

MAX_CHARS = 2_000_000
MAX_ELEMENTS = 10_000
MAX_DEPTH = 200
MAX_ATTRIBUTES = 40
MAX_EMBEDDED_CHARS = 12_000_000  # pictures of the mail, as often as they are shown

ELEMENTS = frozenset({
    "a", "abbr", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center",
    "cite", "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "font",
    "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li", "main", "mark",
    "ol", "p", "pre", "q", "s", "samp", "section", "small", "span", "strike", "strong", "sub", "sup", "table",
    "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var",
})  # fmt: skip
# What these hold is no text of the mail, and the parser reads some of them by rules of their own.
_LEFT_OUT = frozenset({
    "applet", "audio", "canvas", "embed", "frame", "frameset", "iframe", "math", "noembed", "noframes", "noscript",
    "object", "plaintext", "script", "select", "style", "svg", "template", "textarea", "title", "video", "xmp",
})  # fmt: skip
_VOID = frozenset({"br", "col", "hr", "img"})
_CELL = {"colspan", "rowspan", "valign", "width", "height", "bgcolor"}
ATTRIBUTES: Mapping[str, set[str]] = {
    "*": {"align", "dir", "lang", "title"},
    "a": {"href"},
    "font": {"color", "face", "size"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start", "type"},
    "table": {"bgcolor", "border", "cellpadding", "cellspacing", "width"},
    "td": _CELL,
    "th": _CELL,
    "tr": {"bgcolor", "valign"},
}
_NUMBERS = frozenset({"border", "cellpadding", "cellspacing", "colspan", "height", "rowspan", "size", "start", "width"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}%?")
_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)

_MARKUP = re.compile(r"<(?=[a-z!?/])", re.IGNORECASE)
_NAME = re.compile(r"(/?)([a-z][a-z0-9]{0,15})(?![a-z0-9])", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""[\s/]*+([^\s/>="'<]{1,40})(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s>"']*+))?""")


def clean(source: str, pictures: Mapping[str, str]) -> str:
    """Return what may be shown of a mail's HTML.

    `pictures` are those of the same mail: Content-ID to `data:` URL. Every other picture but one that is written into
    the HTML itself is left out, and so is whatever is beyond the limits above.
    """
    return nh3.clean(
        _bounded(source[:MAX_CHARS]),
        tags=set(ELEMENTS),
        attributes={name: set(allowed) for name, allowed in ATTRIBUTES.items()},
        attribute_filter=_filter(pictures),
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},  # the filter says which of them where
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
    )


def _filter(pictures: Mapping[str, str]) -> Callable[[str, str, str], str | None]:
    left = MAX_EMBEDDED_CHARS

    def keep(element: str, attribute: str, value: str) -> str | None:
        nonlocal left
        if attribute == "href":
            return value if _LINK.match(value.strip()) else None
        if attribute == "src":
            shown = _picture(value.strip(), pictures) if element == "img" else None
            left -= len(shown or "")
            return shown if left >= 0 else None
        if attribute in _NUMBERS:
            return value if _NUMBER.fullmatch(value.strip()) else None
        return value

    return keep


def _picture(url: str, pictures: Mapping[str, str]) -> str | None:
    if url[:4].lower() == "cid:":
        return pictures.get(unquote(url[4:]).strip())
    return url if _PICTURE.fullmatch(url) else None


def _bounded(source: str) -> str:
    """Write the source anew: known elements alone, each attribute quoted, never too deep, never too many."""
    pieces: list[str] = []
    open_elements: Counter[str] = Counter()
    position = depth = elements = 0
    while (markup := _MARKUP.search(source, position)) and elements < MAX_ELEMENTS:
        start = markup.start()
        pieces.append(_text(source[position:start]))
        found = _NAME.match(source, start + 1)
        if found is None:
            position = _behind(source, "-->" if source.startswith("<!--", start) else ">", start + 1)
            continue
        is_end, name = bool(found[1]), found[2].lower()
        if name in _LEFT_OUT and not is_end:
            closing = re.compile(f"</{name}", re.IGNORECASE).search(source, found.end())
            position = closing.start() if closing else len(source)
            continue
        written, position = _attributes(source, found.end())
        if name not in ELEMENTS:
            continue
        elements += 1
        if is_end:
            if open_elements[name]:
                open_elements[name] -= 1
                depth -= 1
                pieces.append(f"</{name}>")
        elif name in _VOID:
            pieces.append(f"<{name}{written}>")
        elif depth < MAX_DEPTH:
            open_elements[name] += 1
            depth += 1
            pieces.append(f"<{name}{written}>")
    if elements < MAX_ELEMENTS:
        pieces.append(_text(source[position:]))
    return "".join(pieces)


def _attributes(source: str, position: int) -> tuple[str, int]:
    """Return an element's attributes, quoted, and the position behind it."""
    written: list[str] = []
    while len(written) < MAX_ATTRIBUTES and (found := _ATTRIBUTE.match(source, position)):
        value = found[2] or ""
        if value[:1] in ('"', "'"):
            value = value[1:-1]
        position = found.end()
        written.append(f' {found[1]}="{_text(value).replace(chr(34), "&quot;")}"')
    return "".join(written), _behind(source, ">", position)


def _text(written: str) -> str:
    return written.replace("<", "&lt;")


def _behind(source: str, sign: str, start: int) -> int:
    found = source.find(sign, start)
    return len(source) if found < 0 else found + len(sign)
