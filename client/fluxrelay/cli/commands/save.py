"""`fluxrelay save`: saves the files of jobs that have succeeded, each checked by its SHA-256."""

import hashlib
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from fluxrelay.cli.exits import CommandFailed, Exit, wrong
from fluxrelay.cli.session import Session, command
from fluxrelay.types.jobs import File, Job


def save(
    session: Session,
    job: Annotated[list[str], typer.Argument(metavar="JOB...", help="Ids of jobs.")],
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="The folder.")] = Path(),
) -> None:
    """Save images and videos into a folder, each named after its job."""
    saved = {}
    for job_id in job:
        known = session.client.jobs.get(job_id)
        if known.status != "succeeded":
            raise CommandFailed(Exit.REFUSED, f"Job {job_id} has no result: it is {known.status}.")
        saved[job_id] = save_files(session, known, to, known.id)
        for path in saved[job_id]:
            session.out.say(str(path))
    if session.out.as_json:
        session.out.document(
            {"saved": {key: list(map(str, paths)) for key, paths in saved.items()}}
        )


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
    return saved


def _is_there(path: Path, artifact: File) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as opened:
        if hashlib.sha256(opened.read()).hexdigest() == artifact.sha256:
            return True
    raise wrong(f"{path} is there already, and is another file; move it, or save elsewhere.")


def _file_name(name: str) -> str:
    """Return a name that is a file's on every system, and cannot leave the folder."""
    kept = "".join(sign if sign.isalnum() or sign in "-_. " else "_" for sign in name)
    return kept.strip(". ") or "_"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "save")(save)
