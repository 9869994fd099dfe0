"""Which host names a client can look up; one rule for all incoming URLs.

httpx encodes names with the `idna` library (IDNA 2008) and passes them to the resolver, which
accepts labels of 1 to 63 characters and names of up to 253 (RFC 1035 section 2.3.4). Names that
either would reject are rejected at intake.
"""

import re
from typing import Final

import idna

_LONGEST: Final = 253  # characters of a whole name
#: Letters, digits and hyphens (RFC 1123 section 2.1), and the underscore, which resolvers accept.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ENCODED: Final = "xn--"


def ascii_name(host: str) -> str | None:
    """Return a host name in its lookup form (ASCII, lower case); None if it is invalid.

    Args:
        host: The host of a URL; one trailing dot is allowed.
    """
    name = host.lower()
    try:
        if not name.isascii():
            name = idna.encode(name).decode()
        labels = name.removesuffix(".").split(".")
        if len(name.removesuffix(".")) > _LONGEST or not all(map(_LABEL.fullmatch, labels)):
            return None
        for label in labels:
            if label.startswith(_ENCODED):
                idna.decode(label)
    except (idna.IDNAError, UnicodeError):
        return None
    return name
