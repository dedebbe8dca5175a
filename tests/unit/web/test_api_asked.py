"""What the API's document says of a text is what its validators do."""

from __future__ import annotations

import re
import sys

from app.web.api.asked import PersonIn

# What \s is in the patterns of JSON Schema, which are those of ECMA-262 (22.2.2.9): Python's has five signs more.
ECMA_BLANKS = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


def test_what_is_blank_is_blank_in_the_document_too() -> None:
    said = re.compile(PersonIn.model_json_schema()["properties"]["name"]["pattern"].replace(r"\s", ECMA_BLANKS))
    blanks = [sign for sign in map(chr, range(sys.maxunicode + 1)) if not sign.split()]
    assert len(blanks) > 20
    assert [sign for sign in blanks if said.search(sign)] == []
    assert said.search("\x1e Bea")
