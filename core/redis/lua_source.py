"""Lua source text: settings as constants, and scripts without what they do not use.

Constants need not be sent with each call. And as a script is interpreted anew at each call, every
definition in front of it takes its time, even if nothing calls it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Constant = str | float | Mapping[str, "Constant"] | Sequence["Constant"]

#: A line that begins a definition: of a function, or of one value.
_DEFINITION: Final = re.compile(r"local (?:function )?(\w+)(?: = |\()")
_WORD: Final = re.compile(r"\w+")
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
    """Return Lua that defines constants, each in a line of its own.

    Tables become functions that build them: a script is interpreted anew at each call, and most
    calls need none of the tables.
    """
    return "\n".join(
        f"local {name} = {literal(value)}"
        if isinstance(value, str | int | float)
        else f"local function {name}() return {literal(value)} end"
        for name, value in constants.items()
    )


def with_needed(shared: str, script: str) -> str:
    """Return a script behind those definitions of the shared source that it needs.

    Args:
        shared: Definitions of functions and values, each of which uses earlier ones alone; comments
            and blank lines may stand between them.
        script: The script, which is kept as it is.

    Raises:
        ValueError: Something else than a definition is shared.
    """
    used = set(_WORD.findall(script))
    kept: list[str] = []
    for name, lines in reversed(list(_definitions(shared.splitlines()))):
        if name in used:
            text = "\n".join(lines)
            used.update(_WORD.findall(text))
            kept.append(text)
    return "\n".join([*reversed(kept), script])


def _quoted(text: str) -> str:
    """Quote a string for Lua 5.1, which supports decimal byte escapes only."""
    plain = _SPECIAL.sub(lambda found: b"\\%03d" % ord(found[0]), text.encode())
    return f'"{plain.decode()}"'


def _definitions(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the lines of each definition; an inner line is indented or closes it."""
    name, block = "", list[str]()
    for line in lines:
        if not line.strip() or line.lstrip().startswith("--"):
            continue
        if line[0] == " " or line in ("end", "}"):
            block.append(line)
            continue
        if block:
            yield name, block
        begun = _DEFINITION.match(line)
        if not begun:
            raise ValueError(line)
        name, block = begun[1], [line]
    if block:
        yield name, block
