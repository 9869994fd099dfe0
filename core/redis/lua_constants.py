"""Encodes settings as Lua source text, so that calls need not send them each time."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

Constant = str | float | Mapping[str, "Constant"] | Sequence["Constant"]

#: Bytes that must be escaped in a Lua string.
_SPECIAL: Final = re.compile(rb"[^ !#-\[\]-~]")


def literal(value: Constant) -> str:
    """Return a value as a Lua expression."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        fields = (f"[{_quoted(name)}]={literal(each)}" for name, each in value.items())
        return "{" + ",".join(fields) + "}"
    return "{" + ",".join(map(literal, value)) + "}"


def definitions(constants: Mapping[str, Constant]) -> str:
    """Return one line of Lua that defines constants.

    Tables become functions that build them: a script is interpreted anew at each call, and most
    calls need none of the tables.
    """
    return " ".join(
        f"local {name} = {literal(value)}"
        if isinstance(value, str | int | float)
        else f"local function {name}() return {literal(value)} end"
        for name, value in constants.items()
    )


def _quoted(text: str) -> str:
    """Quote a string for Lua 5.1, which supports decimal byte escapes only."""
    plain = _SPECIAL.sub(lambda found: b"\\%03d" % ord(found[0]), text.encode())
    return f'"{plain.decode()}"'
