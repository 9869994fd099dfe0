"""Which host names a client can look up: the one rule, wherever a URL comes in.

httpx encodes a name with the `idna` library (IDNA 2008) and hands it to the resolver, which takes
labels of 1 to 63 characters and 253 in all (RFC 1035 section 2.3.4). What either of them cannot
read is refused before anything is promised.
"""

import re
from typing import Final

import idna

_LONGEST: Final = 253  # characters of a whole name
#: Letters, digits and hyphens (RFC 1123 section 2.1), and the underscore, which resolvers take.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ENCODED: Final = "xn--"


def ascii_name(host: str) -> str | None:
    """Return a host name as it is looked up: ASCII, lower case; None where it is no host name.

    Args:
        host: As it stands in a URL; one dot at its end is allowed.
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
