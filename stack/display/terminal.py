"""Terminals that cannot show every character: what is printed is shown as well as they can."""

import codecs
import io
import sys
from typing import Final

_NAME: Final = "stand-ins"
#: What stands for our signs on a terminal without them; any other character is a question mark.
_STAND_INS: Final = {
    "✓": "+", "✗": "x", "━": "-", "●": "o", "…": "...",
    "\u00d7": "x", "≥": ">=", "≤": "<=", "→": "->",
}  # fmt: skip


def print_anywhere() -> None:
    """Let no text end this process because the terminal's encoding lacks a character.

    Call it before anything is printed, help texts included.
    """
    codecs.register_error(_NAME, _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return what is written instead of what cannot be, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(character, "?") for character in lost), error.end
