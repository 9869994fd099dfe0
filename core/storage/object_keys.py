"""Rules for object keys: file names that every S3-like server stores unchanged."""

import re
import unicodedata
from typing import Final

#: Prefix of inputs until their job ends.
INPUT_PREFIX: Final = "_inputs/"
#: Prefix of the objects that probe the server.
PROBE_PREFIX: Final = "_probe/"
#: Fields of a key template.
TEMPLATE_FIELDS: Final = frozenset({"job_id", "date", "model", "tenant", "role", "ext"})
#: Suffix of a manifest's key, appended to the key of its image or video.
MANIFEST_ENDING: Final = ".json"
#: Longest key in bytes; S3 allows 1024, and a role, a manifest suffix and a longer tenant name may
#: be added.
_LONGEST: Final = 900
#: Most characters of an invalid field that a message repeats.
_MOST_SHOWN: Final = 40
#: A field with both braces, or a single brace.
_BRACES: Final = re.compile(r"\{[^{}]*\}|[{}]")
#: Unicode category -> what such a character is.
_UNPRINTABLE: Final = {"Cc": "a control character", "Cs": "an unpaired surrogate"}
#: Example values with which a template is checked as a key.
_EXAMPLE: Final = {
    "job_id": "01a1feec-22ac-7440-8460-9f933b1ed1e6",
    "date": "2026-01-01",
    "model": "flux-pro-1.1-ultra-finetuned",
    "tenant": "tenant",
    "role": "draft_cache",
    "ext": "jpg",
}


def template_problem(template: str) -> str | None:
    """Return what is wrong with a key template, or None."""
    # Formats such as {job_id:>999999999}, which would exhaust the memory, are other braces, too; so
    # are doubled ones, which str.format would read as single ones.
    others = [found for found in _BRACES.findall(template) if found[1:-1] not in TEMPLATE_FIELDS]
    if others:
        allowed = ", ".join("{" + name + "}" for name in sorted(TEMPLATE_FIELDS))
        return f"contains {others[0][:_MOST_SHOWN]!r}; allowed are {allowed} and no other braces"
    return key_problem(template.format(**_EXAMPLE))


def _unprintable(key: str) -> str:
    """Describe the first unprintable character of a key."""
    found = next((character for character in key if not character.isprintable()), " ")
    category = unicodedata.category(found)
    kind = _UNPRINTABLE.get(category, "which is invisible")
    return f"U+{ord(found):04X}, {kind}"


def key_problem(key: str) -> str | None:
    """Return what is wrong with a key, or None.

    Servers that store objects as files misread names with an empty part, a dot as a part, a
    backslash, or a space or dot at a part's end: as a folder, as another name, or not at all.
    """
    parts = key.split("/")
    ours = (INPUT_PREFIX, PROBE_PREFIX)
    problems = {
        "must not be empty": not key,
        f"must not start with / or {' or '.join(ours)}": key.lower().startswith(("/", *ours)),
        "must not end with /, which names a folder": key.endswith("/"),
        "must not contain .., //, or a . between slashes": ".." in key or {"", "."} & {*parts},
        f"must not contain the character {_unprintable(key)}": not key.isprintable(),
        "must not contain a backslash": "\\" in key,
        "must not have a space at the beginning or end of a name, or a dot at its end": any(
            part != part.strip() or part.endswith(".") for part in parts
        ),
        f"must not end with {MANIFEST_ENDING}, reserved for manifests": key.lower().endswith(
            MANIFEST_ENDING
        ),
        "is too long": len(key.encode(errors="replace")) > _LONGEST,
    }
    return next((problem for problem, found in problems.items() if found), None)
