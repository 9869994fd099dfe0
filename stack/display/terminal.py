"""Output for terminals that cannot show every character."""

import codecs
import io
import sys
from typing import Final

_NAME: Final = "stand-ins"
#: Replacements of our symbols on such a terminal; any other character becomes a question mark.
_STAND_INS: Final = {
    "✓": "+", "✗": "x", "━": "-", "●": "o", "…": "...",
    "\u00d7": "x", "≥": ">=", "≤": "<=", "→": "->",
}  # fmt: skip


def print_anywhere() -> None:
    """Replace characters that the terminal's encoding lacks, instead of failing.

    Call it before anything is printed, help texts included.
    """
    codecs.register_error(_NAME, _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_NAME)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of an unencodable part, and the position after it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(character, "?") for character in lost), error.end
