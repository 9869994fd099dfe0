"""Which keys an object may have: names of files, which every S3-like server keeps as they are."""

import string
import unicodedata
from typing import Final

#: Inputs lie below this prefix until their job ends.
INPUT_PREFIX: Final = "_inputs/"
#: Below it lie the objects that are put to see what a server does with them.
PROBE_PREFIX: Final = "_probe/"
#: What a key template may hold.
TEMPLATE_FIELDS: Final = frozenset({"job_id", "date", "model", "tenant", "ext"})
#: What a manifest's key ends with, behind its image's.
MANIFEST_ENDING: Final = ".json"
#: Bytes of a key; S3 allows 1024, and a manifest's ending and a longer tenant's name are added.
_LONGEST: Final = 900
#: A template with these is judged as a key.
_EXAMPLE: Final = {
    "job_id": "01a1feec-22ac-7440-8460-9f933b1ed1e6",
    "date": "2026-01-01",
    "model": "flux-pro-1.1-ultra-finetuned",
    "tenant": "tenant",
    "ext": "jpg",
}


def template_problem(template: str) -> str | None:
    """Say what is wrong with a template for keys, or None."""
    try:
        parts = [part for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError:
        parts = [("", "", "", None)]
    # A format such as {job_id:>999999999} would fill the memory.
    if any(name not in TEMPLATE_FIELDS or spec or mark for _, name, spec, mark in parts):
        allowed = ", ".join("{" + name + "}" for name in sorted(TEMPLATE_FIELDS))
        return f"may hold {allowed} and no other braces"
    return key_problem(template.format(**_EXAMPLE))


def _unprintable(key: str) -> str:
    """Name the first character of a key that cannot be seen, or not be told from another one."""
    found = next((character for character in key if not character.isprintable()), " ")
    kind = "a control character" if unicodedata.category(found) == "Cc" else "which cannot be seen"
    return f"U+{ord(found):04X}, {kind}"


def key_problem(key: str) -> str | None:
    """Say what is wrong with a key, or None.

    A server that keeps objects as files makes something else of a name with an empty part, a dot
    for a part, a backslash, or a space or dot at a part's end: a folder, another's name, nothing.
    """
    parts = key.split("/")
    ours = (INPUT_PREFIX, PROBE_PREFIX)
    problems = {
        "must not be empty": not key,
        f"must not begin with / or {' or '.join(ours)}": key.lower().startswith(("/", *ours)),
        "must not end with /, for that names a folder": key.endswith("/"),
        "must not hold .., //, or a . between slashes": ".." in key or {"", "."} & {*parts},
        f"must not hold the character {_unprintable(key)}": not key.isprintable(),
        "must not hold a backslash": "\\" in key,
        "must not have a space at the beginning or end of a name, or a dot at its end": any(
            part != part.strip() or part.endswith(".") for part in parts
        ),
        f"must not end with {MANIFEST_ENDING}, for manifests do": key.lower().endswith(
            MANIFEST_ENDING
        ),
        "is too long": len(key.encode(errors="replace")) > _LONGEST,
    }
    return next((problem for problem, found in problems.items() if found), None)
