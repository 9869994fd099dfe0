"""The rules that a run must not break."""

from collections.abc import Mapping
from typing import Final

#: Every rule and the meaning of its violation, in the order of the table.
RULES: Final[Mapping[str, str]] = {
    "refused": "never got a 202, although its caller kept retrying",
    "misled": "got an answer other than 202, 503 or none at all",
    "doubled": "got two job ids for one Idempotency-Key",
    "lost": "was accepted, but is unknown, or its paid result is missing or incomplete",
    "bundle lost": "is a draft that succeeded without the bundle that the provider made for it",
    "stuck": "had not ended at the time limit",
    "unexpected": "ended in a way that its faults do not explain",
    "uncanceled": "was canceled according to the answer, and then had another end",
    "paid twice": "was made more often than its own count of resubmits allows",
    "hasty": "was submitted again before its doubt had ended",
    "unclaimed": "was made by the provider, but no caller got a 202 for it",
    "wrong bytes": "has an image or video other than the one that the provider made",
    "half batch": "is an accepted batch of which an item became no job, or more than one",
    "batch misreported": "is a batch whose results file is missing, or says other than its jobs",
    "stray": "is an object in the bucket that belongs to no successful job",
    "untold": "ended, but its caller got no callback",
    "told wrong": "got a callback with another outcome than its own",
    "badly signed": "got a callback with an invalid signature",
    "forged": "had a forged webhook accepted",
    "inputs left": "has ended, and its inputs are still in the bucket",
    "uploads left": "is an unfinished upload, whose parts nobody sees but somebody pays for",
    "unlisted": "is a dead letter but not listed, or listed but not one",
    "listed wrong": "is not on the pages of the list of jobs exactly once, or with another status",
    "slots held": "has ended, or is unknown, and still holds a slot",
    "tasks left": "has a task in a queue, or an entry in the backlog, after everything ended",
    "due left": "has ended, but still has a due time",
    "own end": "is a process that exited without being killed",
}
