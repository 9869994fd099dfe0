"""`python -m worker dead-letters …` lists dead letters and sends them again, for the operator.

It covers all tenants and needs a worker's environment. One call handles a bounded number and never
prompts. Exits with 0 if everything was done, 1 if something could not be done, 2 if arguments or
settings are wrong, and 3 if Redis or S3 is unreachable.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Final

import typer

from core.batches.views import batch_view
from core.errors import BacklogFull, CannotSendAgain, SettingsError, Transient
from core.jobs.failures import FailureCode
from core.jobs.views import job_view, timestamp
from core.operations.dead_letter_list import (
    MAX_PAGE_SIZE,
    Cursor,
    DeadLetter,
    Kind,
    LetterFilter,
    read_record,
)
from core.operations.dead_letters import DeadLetters
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from worker.commands.output import is_terminal, print_error, say, say_rows
from worker.runtime.startup_checks import check_settings

DONE, NOT_ALL, WRONG, AWAY = 0, 1, 2, 3
_USUAL: Final = 100
_HEADINGS: Final = ("since", "kind", "code", "tenant", "id", "message")
_HELP: Final = """List dead letters and send them again, those of all tenants.

Needs a worker's environment, and never asks. Exits with 0 if everything was done, 1 if something
could not be done, 2 if arguments or settings are wrong, 3 if Redis or S3 is unreachable.
"""
# Errors are shown without a traceback of typer's: it could show a secret.
_app: Final = typer.Typer(help=_HELP, add_completion=False, pretty_exceptions_enable=False)

_Action = Callable[[DeadLetters, DeadLetter], str]
_Tenant = Annotated[str | None, typer.Option(metavar="TENANT", help="Only those of this tenant.")]
_Code = Annotated[
    FailureCode | None,
    typer.Option(metavar="CODE", help="Only those that failed like this: storage_failed, …"),
]
_Limit = Annotated[int, typer.Option(min=1, help="How many, at most.")]
_Id = Annotated[
    str | None, typer.Option("--id", help="The one of this job or batch.", metavar="ID")
]
_All = Annotated[bool, typer.Option("--all", help="All that are listed.")]


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A character that the terminal cannot show must not abort a run halfway.
        sys.stdout.reconfigure(errors="backslashreplace")
    _app.rich_markup_mode = "rich" if is_terminal() else None  # of help and usage errors
    try:
        _app(arguments, prog_name="python -m worker dead-letters")
    except SystemExit as end:
        return int(end.code or DONE)
    except SettingsError as error:
        print_error("The settings are wrong:", *error.problems)
        return WRONG
    except Transient as error:
        print_error(str(error))
        return AWAY
    return DONE


def _cursor(text: str) -> Cursor:
    try:
        return Cursor.parse(text)
    except ValueError:
        raise typer.BadParameter("not what an earlier list ended with") from None


@contextlib.contextmanager
def _opened() -> Iterator[tuple[JobStore, DeadLetters]]:
    settings = Settings.from_env(os.environ, WORKER, trial=check_settings)
    with contextlib.closing(connect(settings)) as client:
        store = JobStore(client, settings)
        yield store, DeadLetters(store, ObjectStore(settings.s3_bucket), settings)


@_app.command("list")
def _list(
    *,
    kind: Annotated[Kind | None, typer.Option(help="Only those of this kind.")] = None,
    cursor: Annotated[
        Cursor | None,
        typer.Option(parser=_cursor, metavar="CURSOR", help="Where the last list ended."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON document.")] = False,
    tenant: _Tenant = None,
    code: _Code = None,
    limit: _Limit = _USUAL,
) -> None:
    """Show dead letters, the oldest first."""
    wanted = LetterFilter(tenant=tenant, kind=kind, code=code)
    found: list[DeadLetter] = []
    with _opened() as (_, letters):
        more = True
        while more and len(found) < limit:
            page = letters.page(wanted, min(MAX_PAGE_SIZE, limit - len(found)), cursor)
            found += page.letters
            cursor, more = page.cursor, page.cursor is not None
    if as_json:
        shown = [_document(letter) for letter in found]
        say(json.dumps({"dead_letters": shown, "next_cursor": str(cursor) if cursor else None}))
        return
    say_rows(_HEADINGS, [_row(letter) for letter in found], title="id")
    if not found:
        say("There are none.")
    if cursor:
        say(f"There are more: --cursor '{cursor}'")


def _command_for(action: _Action, *kinds: Kind) -> Callable[..., None]:
    def command(
        *,
        job_id: _Id = None,
        everything: _All = False,
        tenant: _Tenant = None,
        code: _Code = None,
        limit: _Limit = _USUAL,
    ) -> None:
        wanted = LetterFilter(tenant=tenant, code=code)
        _act(action, kinds, job_id, wanted if everything else None, limit)

    return command


def _retry(letters: DeadLetters, letter: DeadLetter) -> str:
    if letter.job is None:
        raise CannotSendAgain("A batch is retried by its caller")
    return f"sent again as {letters.retry(letter.job)}"


def _resend(letters: DeadLetters, letter: DeadLetter) -> str:
    letters.resend(letter.about)
    return "callback is sent again"


def _drop(letters: DeadLetters, letter: DeadLetter) -> str:
    return "dismissed" if letters.dismiss(letter) else "was not listed"


_RETRY: Final = "Send failed jobs again, each as a new job."
_CALLBACK: Final = (
    "Send callbacks of jobs and batches again; with --id also one that was delivered."
)
_app.command("retry", help=_RETRY)(_command_for(_retry, Kind.JOB))
_app.command("callback", help=_CALLBACK)(_command_for(_resend, Kind.CALLBACK, Kind.BATCH))


@_app.command("dismiss")
def _dismiss(
    *,
    kind: Annotated[Kind, typer.Option(help="Those of this kind.")],
    job_id: _Id = None,
    everything: _All = False,
    tenant: _Tenant = None,
    code: _Code = None,
    limit: _Limit = _USUAL,
) -> None:
    """Take dead letters off the list."""
    _command_for(_drop, kind)(
        job_id=job_id, everything=everything, tenant=tenant, code=code, limit=limit
    )


def _act(
    action: _Action,
    kinds: Sequence[Kind],
    record_id: str | None,
    wanted: LetterFilter | None,
    limit: int,
) -> None:
    """Apply one action to one job or batch, or to as many listed ones as requested."""
    if (record_id is None) == (wanted is None):
        raise typer.BadParameter("give one of them, and not both", param_hint="--id, --all")
    all_done, count = True, 0
    with _opened() as (store, letters):
        found = (
            _of_kinds(letters, wanted, kinds) if wanted else _named(store, record_id or "", kinds)
        )
        for letter in found:
            if count == limit:
                say(f"Stopped after {count}; there are more.")
                break
            count += 1
            try:
                say(f"{letter.about.id} {action(letters, letter)}")
            except CannotSendAgain as error:
                print_error(f"{letter.about.id} {error}")
                all_done = False
            except BacklogFull:
                print_error("The backlog is full; go on later.")
                raise typer.Exit(NOT_ALL) from None
    if not count:
        print_error("There are none." if wanted else f"There is no such {_what(kinds)}.")
        all_done = wanted is not None
    raise typer.Exit(DONE if all_done else NOT_ALL)


def _what(kinds: Sequence[Kind]) -> str:
    named = ["batch" if kind is Kind.BATCH else "job" for kind in kinds]
    return " or ".join(named)


def _named(store: JobStore, record_id: str, kinds: Sequence[Kind]) -> Iterator[DeadLetter]:
    """Yield the letter of the job or the batch with an id, listed or not."""
    for kind in kinds:
        if about := read_record(store, kind, record_id):
            yield DeadLetter(kind, store.now(), about)


def _of_kinds(
    letters: DeadLetters, wanted: LetterFilter, kinds: Sequence[Kind]
) -> Iterator[DeadLetter]:
    for kind in kinds:
        yield from _listed(letters, replace(wanted, kind=kind))


def _listed(letters: DeadLetters, wanted: LetterFilter) -> Iterator[DeadLetter]:
    """Yield all listed letters; acting on them meanwhile does not disturb the paging."""
    page = letters.page(wanted, MAX_PAGE_SIZE)
    yield from page.letters
    while page.cursor:
        page = letters.page(wanted, MAX_PAGE_SIZE, page.cursor)
        yield from page.letters


def _document(letter: DeadLetter) -> dict[str, object]:
    """Return a letter as `--json` shows it."""
    return {
        "kind": letter.kind,
        "at": timestamp(letter.at),
        "tenant": letter.about.request.tenant,
        "job": job_view(letter.job) if letter.job else None,
        "batch": batch_view(letter.batch, letter.at) if letter.batch else None,
    }


def _row(letter: DeadLetter) -> tuple[str, ...]:
    about = letter.about
    error = (letter.job and letter.job.error) or {}
    message = str(error.get("message", ""))
    if letter.kind is not Kind.JOB and about.callback_log:
        last = about.callback_log[-1]
        message = f"{about.callback_attempts} attempts, the last: {last['status'] or last['error']}"
    code = str(error.get("code", "-"))
    return str(timestamp(letter.at)), letter.kind, code, about.request.tenant, about.id, message
