"""`python -m worker dead-letters …` lists dead letters and sends them again, for the operator.

It covers all tenants and needs a worker's environment. One call handles a bounded number and never
prompts. Exits with 0 if everything was done, 1 if something could not be done, 2 if arguments or
settings are wrong, and 3 if Redis or S3 is unreachable.
"""

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from core.errors import BacklogFull, CannotSendAgain, SettingsError, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.views import job_view, timestamp
from core.operations.dead_letters import (
    MAX_PAGE_SIZE,
    Cursor,
    DeadLetter,
    DeadLetters,
    Kind,
    LetterFilter,
)
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from worker.runtime.startup_checks import check_settings

DONE, NOT_ALL, WRONG, AWAY = 0, 1, 2, 3
_USUAL: Final = 100
_WIDEST: Final = 60  # characters of a message in the table
_HEADINGS: Final = ("since", "kind", "code", "tenant", "job", "message")


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal cannot show must not abort a run halfway.
        sys.stdout.reconfigure(errors="backslashreplace")
    asked = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ, WORKER, trial=check_settings)
        with contextlib.closing(connect(settings)) as client:
            store = JobStore(client, settings)
            letters = DeadLetters(store, ObjectStore(settings.s3_bucket), settings)
            if asked.action == "list":
                return _list(letters, asked)
            return _act(store, letters, asked)
    except SettingsError as error:
        _complain("The settings are wrong:", *error.problems)
        return WRONG
    except Transient as error:
        _complain(str(error))
        return AWAY


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m worker dead-letters", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="show them, the oldest first")
    listing.add_argument("--kind", type=Kind, choices=list(Kind))
    listing.add_argument("--cursor", type=Cursor.parse, help="where the last list ended")
    listing.add_argument("--json", action="store_true", help="as one JSON document")
    _add_filters(listing)
    for name, words in (
        ("retry", "send failed jobs again, each as a new job"),
        ("callback", "send callbacks again, of a given job also a delivered one"),
        ("dismiss", "take letters off the list"),
    ):
        action = actions.add_parser(name, help=words)
        which = action.add_mutually_exclusive_group(required=True)
        which.add_argument("--id", type=JobId, help="of this job")
        which.add_argument("--all", action="store_true", help="of all that are listed")
        if name == "dismiss":
            action.add_argument("--kind", type=Kind, choices=list(Kind), required=True)
        _add_filters(action)
    return parser


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant")
    parser.add_argument("--code", type=FailureCode, choices=list(FailureCode))
    parser.add_argument("--limit", type=_count, default=_USUAL, help="most letters of one call")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _list(letters: DeadLetters, asked: argparse.Namespace) -> int:
    wanted = LetterFilter(tenant=asked.tenant, kind=asked.kind, code=asked.code)
    found: list[DeadLetter] = []
    cursor: Cursor | None = asked.cursor
    more = True
    while more and len(found) < asked.limit:
        page = letters.page(wanted, min(MAX_PAGE_SIZE, asked.limit - len(found)), cursor)
        found += page.letters
        cursor, more = page.cursor, page.cursor is not None
    if asked.json:
        shown = [
            {
                "kind": letter.kind,
                "at": timestamp(letter.at),
                "tenant": letter.job.request.tenant,
                "job": job_view(letter.job),
            }
            for letter in found
        ]
        _say(json.dumps({"dead_letters": shown, "next_cursor": str(cursor) if cursor else None}))
    else:
        _say_table([_row(letter) for letter in found])
        if cursor:
            _say(f"There are more: --cursor '{cursor}'")
    return DONE


def _row(letter: DeadLetter) -> tuple[str, ...]:
    job = letter.job
    error = job.error or {}
    message = str(error.get("message", ""))
    if letter.kind is Kind.CALLBACK and job.callback_log:
        last = job.callback_log[-1]
        message = f"{job.callback_attempts} attempts, the last: {last['status'] or last['error']}"
    code = str(error.get("code", "-"))
    since = str(timestamp(letter.at))
    return since, letter.kind, code, job.request.tenant, job.id, _printable(message)[:_WIDEST]


def _printable(text: str) -> str:
    """Return text without control characters, which could command the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _say_table(rows: list[tuple[str, ...]]) -> None:
    if not rows:
        _say("There are none.")
        return
    table = [_HEADINGS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(_HEADINGS))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        _say("  ".join(cells).rstrip())


def _act(store: JobStore, letters: DeadLetters, asked: argparse.Namespace) -> int:
    """Apply one action to one job, or to as many listed ones as requested."""
    action: Callable[[DeadLetters, DeadLetter], str] = _ACTIONS[asked.action]
    kinds = {"retry": Kind.JOB, "callback": Kind.CALLBACK}
    kind = kinds.get(asked.action) or asked.kind
    wanted = LetterFilter(tenant=asked.tenant, kind=kind, code=asked.code)
    result, count = DONE, 0
    for letter in _named(store, asked.id, kind) if asked.id else _listed(letters, wanted):
        if count == asked.limit:
            _say(f"Stopped after {count}; there are more.")
            break
        count += 1
        try:
            _say(f"{letter.job.id} {action(letters, letter)}")
        except CannotSendAgain as error:
            _complain(f"{letter.job.id} {error}")
            result = NOT_ALL
        except BacklogFull:
            _complain("The backlog is full; go on later.")
            return NOT_ALL
    if not count:
        _complain("There is no such job." if asked.id else "There are none.")
        return NOT_ALL if asked.id else DONE
    return result


def _retry(letters: DeadLetters, letter: DeadLetter) -> str:
    return f"sent again as {letters.retry(letter.job)}"


def _resend(letters: DeadLetters, letter: DeadLetter) -> str:
    letters.resend(letter.job)
    return "callback is sent again"


def _dismiss(letters: DeadLetters, letter: DeadLetter) -> str:
    return "dismissed" if letters.dismiss(letter) else "was not listed"


_ACTIONS: Final = {"retry": _retry, "callback": _resend, "dismiss": _dismiss}


def _named(store: JobStore, job_id: JobId, kind: Kind) -> Iterator[DeadLetter]:
    job: Job | None = store.load(job_id)
    if job:
        yield DeadLetter(kind, store.now(), job)


def _listed(letters: DeadLetters, wanted: LetterFilter) -> Iterator[DeadLetter]:
    """Yield all listed letters; acting on them meanwhile does not disturb the paging."""
    page = letters.page(wanted, MAX_PAGE_SIZE)
    yield from page.letters
    while page.cursor:
        page = letters.page(wanted, MAX_PAGE_SIZE, page.cursor)
        yield from page.letters


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _complain(*lines: str) -> None:
    sys.stderr.write("\n  ".join(lines) + "\n")
