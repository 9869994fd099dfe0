"""Values as Lua source text: a script holds what never changes and is not told it each time."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

Constant = str | float | Mapping[str, "Constant"] | Sequence["Constant"]

#: Bytes that do not stand for themselves between quotes.
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
    """Return one line of Lua that defines them.

    A table becomes a function that makes it, since a script runs anew at each call and most calls
    need none of them.
    """
    return " ".join(
        f"local {name} = {literal(value)}"
        if isinstance(value, str | int | float)
        else f"local function {name}() return {literal(value)} end"
        for name, value in constants.items()
    )


def _quoted(text: str) -> str:
    """Quote a text for Lua 5.1, which knows decimal escapes of bytes only."""
    plain = _SPECIAL.sub(lambda found: b"\\%03d" % ord(found[0]), text.encode())
    return f'"{plain.decode()}"'
