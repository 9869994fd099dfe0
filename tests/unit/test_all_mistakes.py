"""Every mistake in one setting is told at once, with the number of its entry."""

from collections.abc import Callable
from typing import Any

import pytest

from core import credentials, text_values

KEY = "a-key-of-16-chars"
MASTER = "m" * 32


@pytest.mark.parametrize(
    ("parse", "text", "problems"),
    [
        (
            credentials.api_keys,
            f"a:{KEY},../x:{KEY}2,b:short,c:{KEY}ü,_inputs:{KEY}3,d:{KEY},{KEY},e:with blank {KEY}",
            [
                "entry 2 must look like name:key, with a name of letters, digits, - _ .",
                "entry 3 (b) needs a key of at least 16 ASCII characters, no blanks",
                "entry 4 (c) needs a key of at least 16 ASCII characters, no blanks",
                "entry 5 (_inputs) has a name that cannot be part of an object key",
                "entry 6 (d) has the same key as entry 1",
                "entry 7 needs a key of at least 16 ASCII characters, no blanks",
                "entry 8 (e) needs a key of at least 16 ASCII characters, no blanks",
            ],
        ),
        (
            credentials.api_keys,
            f'"a:{KEY},a:{KEY}\t2,a:{KEY}3,a:{KEY}3',
            [
                "entry 1 must look like name:key, with a name of letters, digits, - _ .",
                "entry 2 (a) needs a key of at least 16 ASCII characters, no blanks",
                "entry 4 (a) has the same key as entry 3",
            ],
        ),
        (
            credentials.master_secrets,
            f"short,{MASTER},{MASTER},tiny",
            [
                "secret 1 must have at least 32 characters",
                "secret 3 is also secret 2",
                "secret 4 must have at least 32 characters",
            ],
        ),
        (
            credentials.redis_url,
            "redis://me@host:0/one?unknown=1#x",
            [
                "must not contain #",
                "allowed options",
                "the database",
                "the port",
                "has a user name",
            ],
        ),
        (
            text_values.base_urls,
            "https://a,ftp://me:pw@b,https://c?d",
            ["entry 2 must be", "entry 2 must not contain a user name", "entry 3 must be"],
        ),
        (
            text_values.slot_limits,
            "x,a,b=0,c=2,c=3",
            [
                "must look like 24,flux-kontext-max=6 with numbers above 0: entry 1 is no total",
                "must look like 24,flux-kontext-max=6 with numbers above 0: entry 2 is no model=",
                "must look like 24,flux-kontext-max=6 with numbers above 0: entry 3 is no model=",
                "entry 5 limits c again",
            ],
        ),
        (text_values.slot_limits, "4,a=6,b=4", ["entry 2 allows a more than the total, 4"]),
        (text_values.host_suffixes, "a.example,*.b,c:1", ["entry 2 must be", "entry 3 must be"]),
        (text_values.networks, "10.0.0.1/8,::1,x", ["entry 1 must be", "entry 3 must be"]),
    ],
)
def test_every_mistake_in_a_value_is_told(
    parse: Callable[[str], Any], text: str, problems: list[str]
) -> None:
    """Each entry is named by its number, and by its name where that is surely no key."""
    with pytest.raises(text_values.ManyProblems) as caught:
        parse(text)

    found = caught.value.problems
    assert len(found) == len(problems), found
    for problem, expected in zip(found, problems, strict=True):
        assert problem.startswith(expected)


def test_a_name_may_have_many_keys() -> None:
    """One for each application, say, and a new one while an old one is replaced."""
    names = credentials.api_keys(f"demo:{KEY}1,demo:{KEY}2,demo:{KEY}3")

    assert list(names.values()) == ["demo"] * 3
