"""What differs between two policies, as the page of a trial shows it."""

from __future__ import annotations

import time

from app.model import Policy
from app.policy import MOST_BLOCKED, as_json, differences


def test_of_a_list_only_what_one_of_the_two_has_is_told() -> None:
    before = Policy(blocklist=frozenset({"a.example", "b.example"}), max_counterparts=3)
    after = Policy(blocklist=frozenset({"b.example", "c.example"}), max_counterparts=4)
    assert differences(as_json(before), as_json(after)) == {
        "blocklist": (["a.example"], ["c.example"]),
        "max_counterparts": (3, 4),
    }


def test_the_longest_list_is_compared_at_once() -> None:
    entries = [f"domain{n}.example" for n in range(MOST_BLOCKED)]
    begun = time.process_time()
    found = differences({"blocklist": entries}, {"blocklist": [*entries[1:], "new.example"]})
    assert found == {"blocklist": (["domain0.example"], ["new.example"])}
    assert time.process_time() - begun < 1
