"""The rules that a run must not break."""

from collections.abc import Mapping
from typing import Final

#: Every rule, and what it means when it is broken; in the order of the table.
RULES: Final[Mapping[str, str]] = {
    "refused": "never got a 202, though its caller went on asking",
    "misled": "was answered with something else than 202, 503 or silence",
    "doubled": "got two job ids for one Idempotency-Key",
    "lost": "was accepted, and is unknown, or has no whole image, or its paid image is gone",
    "stuck": "had not ended when the time was over",
    "unexpected": "ended in another way than what befell it explains",
    "paid twice": "was made more often than its own count of repeated submits allows",
    "hasty": "was submitted again before its doubt was over",
    "unclaimed": "was made at the provider, but no caller has a 202 for it",
    "wrong bytes": "has an image that is not the one the provider made",
    "stray": "is an object in the bucket that belongs to no success",
    "untold": "ended, and its caller was not told so",
    "told wrong": "was told something else than what came of it",
    "badly signed": "got a callback whose signature is not right",
    "forged": "had a forged webhook accepted",
    "inputs left": "has ended, and its input images are still in the bucket",
    "unlisted": "is a dead letter and not in their list, or is in it and none",
    "slots held": "has ended, or is unknown, and still holds a slot",
    "tasks left": "has a task in a queue, or a place in the backlog, after everything ended",
    "due left": "has ended, and sweep is still to look after it",
    "own end": "is a process that ended though nobody killed it",
}
