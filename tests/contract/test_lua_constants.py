"""What a script holds as constants is read by Lua as it was meant."""

import json
from typing import Any

import pytest
import redis

from core.redis.lua_source import definitions, literal

VALUES: list[Any] = [
    "plain",
    'quotes " and \\ backslashes',
    "\0 nought, \n lines, \t tabs, ] and ]] and --[[",
    "1\N{WHITE SMILING FACE}2\N{FLAG IN HOLE}3",
    "\\123456",
    0,
    -7,
    30.25,
    1e21,
    True,
    False,
    ["a", 1, ["b"]],
    {"a": 1, "b c": {"end": ["x"]}, '"': "'"},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_lua_reads_what_was_written(redis_client: "redis.Redis", value: Any) -> None:
    """A value comes back, as JSON, as it was."""
    answer = redis_client.eval(f"return cjson.encode({{{literal(value)}}})", 0)

    assert json.loads(str(answer)) == [value]


def test_tables_are_made_when_asked_for(redis_client: "redis.Redis") -> None:
    """A plain value is a local variable, a table a function."""
    text = definitions({"NAME": "x", "COUNT": 2, "TABLE": {"key": [3]}})

    assert text.count("\n") == 2
    answer = redis_client.eval(f"{text}\nreturn NAME .. COUNT .. TABLE().key[1]", 0)
    assert answer == "x23"
