"""`fluxrelay save`, `link` and `results`: what jobs and batches have made."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from fluxrelay.cli.commands.jobs import IsBatch, JobId
from fluxrelay.cli.exits import CommandFailed, Exit, wrong
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.values import seconds_value
from fluxrelay.cli.views.batches import RESULT_HEADINGS, result_row
from fluxrelay.types.batches import Batch
from fluxrelay.types.jobs import File, Job

_PAGE = 100
#: Bytes; file systems take 255, of which an ending, a role and a hash need some.
_LONGEST_NAME = 200
#: What Windows takes for a device, with any ending.
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{n}{k}" for n in ("COM", "LPT") for k in range(1, 10))}


def save(
    session: Session,
    job: Annotated[list[str], typer.Argument(metavar="JOB", help="Ids.")],
    *,
    batch: Annotated[bool, typer.Option("--batch", help="The ids are batches'.")] = False,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder.")] = Path(),
) -> None:
    """Save the files of jobs, named after their ids, or of batches, after their custom_ids."""
    saved = {}
    for one in job:
        saved[one] = _saved_batch(session, one, to) if batch else _saved_job(session, one, to)
        for path in saved[one]:
            session.out.say(str(path))
    if session.out.as_json:
        session.out.document(
            {"saved": {key: list(map(str, paths)) for key, paths in saved.items()}}
        )


def link(
    session: Session,
    job: JobId,
    *,
    batch: IsBatch = False,
    role: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Another file of it, such as draft_cache.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="SECONDS", help="Valid so long, else 1h; at most 7d.")
    ] = None,
    download: Annotated[
        str | None, typer.Option(metavar="NAME", help="Have browsers save it under this name.")
    ] = None,
) -> None:
    """Print a link to a file, for somebody who has no key."""
    if batch and role:
        raise wrong("--role is for jobs: a batch has one file of results.")
    client, life = session.client, seconds_value(expires, "--expires")
    if batch:
        url = client.batches.link(job, expires=life, download=download)
    else:
        url = client.jobs.link(job, role or "sample", expires=life, download=download)
    if session.out.as_json:
        session.out.document({"url": url})
    session.out.say(url)


def results(
    session: Session, batch: Annotated[str, typer.Argument(metavar="BATCH", help="The id.")]
) -> None:
    """Show what became of each item of a completed batch."""
    rows: list[Sequence[str]] = []
    for result in session.client.batches.results(batch):
        if session.out.as_json:
            session.out.line(result.raw)
        else:
            rows.append(result_row(result.raw))
    session.out.rows(RESULT_HEADINGS, rows, title="custom_id")


def _saved_job(session: Session, job_id: str, folder: Path) -> list[Path]:
    job = session.client.jobs.get(job_id)
    if job.status != "succeeded":
        raise CommandFailed(Exit.REFUSED, f"Job {job_id} has no result: it is {job.status}.")
    return save_files(session, job, folder, job.id)


def _saved_batch(session: Session, batch_id: str, folder: Path) -> list[Path]:
    batch = session.client.batches.get(batch_id)
    if not batch.ended:
        raise CommandFailed(Exit.REFUSED, f"Batch {batch_id} is {batch.status}; save it later.")
    return save_batch(session, batch, folder)


def save_batch(session: Session, batch: Batch, folder: Path) -> list[Path]:
    """Save all files of a completed batch, and the file of its results; return their paths."""
    saved = []
    for job in session.client.batches.iterate_jobs(batch, status="succeeded", limit=_PAGE):
        name = str((job.raw["batch"] or {}).get("custom_id") or job.id)
        saved += save_files(session, job, folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    return [*saved, session.client.batches.save(batch, folder)]


def save_files(session: Session, job: Job, folder: Path, name: str) -> list[Path]:
    """Save all files of a job and return their paths; those that are there already stay.

    Args:
        session: The run of the command.
        job: A job that has succeeded.
        folder: Made if it is missing.
        name: Their name without its ending.

    Raises:
        CommandFailed: The folder cannot be written, or holds another file of that name.
    """
    saved = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for artifact in job.artifacts:
            role = "" if artifact.role == "sample" else f".{artifact.role}"
            path = folder / f"{_file_name(name)}{role}{PurePosixPath(artifact.key).suffix}"
            if not _is_there(path, artifact):
                session.client.jobs.save(job, path, role=artifact.role or "sample")
            saved.append(path)
    except OSError as error:
        raise wrong(f"{error.filename or folder} cannot be written: {error.strerror}.") from None
    except UnicodeEncodeError:
        text = f"{name} cannot be the name of a file here; set LC_ALL to a locale in UTF-8."
        raise wrong(text) from None
    return saved


def _is_there(path: Path, artifact: File) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as opened:
        if hashlib.sha256(opened.read()).hexdigest() == artifact.sha256:
            return True
    raise wrong(f"{path} is there already, and is another file; move it, or save elsewhere.")


def _file_name(name: str) -> str:
    """Return a name that is a file's on every system, cannot leave the folder, and is only its own.

    A name that has to be changed gets some digits of its hash, as several would become the same.
    """
    kept = "".join(sign if sign.isalnum() or sign in "-_. " else "_" for sign in name)
    kept = kept.strip(". ").encode()[:_LONGEST_NAME].decode(errors="ignore")
    if kept == name and kept.partition(".")[0].upper() not in _DEVICES:
        return name
    return f"{kept or '_'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "save")(save)
    command(app, "link")(link)
    command(app, "results")(results)
