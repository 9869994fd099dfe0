"""The files of a result, by both clients."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from fluxrelay import (
    ConflictError,
    CorruptFileError,
    FluxRelay,
    FluxRelayError,
    Job,
    NotFoundError,
    UnexpectedAnswerError,
)
from stack.stack import Stack
from tests.client.conftest import MakeClient
from tests.client.scripted_service import (
    ENDED,
    ScriptedService,
    hangs_up,
    refuses,
    says,
)
from tests.client.test_jobs import made
from tests.contract.scripted_server import answer

CONTENT = b"the bytes of an image" * 20_000
FILE = {
    "uri": "s3://pictures/a/b.png",
    "role": "sample",
    "bucket": "pictures",
    "key": "a/b.png",
    "bytes": len(CONTENT),
    "sha256": sha256(CONTENT).hexdigest(),
}
WITH_FILE = ENDED | {"artifacts": [FILE]}


@pytest.fixture(scope="module")
def job(relay: Stack) -> Iterator[Job]:
    """Return a job with a result."""
    with FluxRelay(relay.service_url, relay.api_key) as client:
        yield client.jobs.wait(made(client, "a fox to keep"))


def test_the_bytes_of_a_result(client: FluxRelay, job: Job) -> None:
    """The image's bytes are those that were stored, by whichever name."""
    assert job.image is not None
    for content in (client.jobs.image(job), client.jobs.artifact(job.id, "sample")):
        assert sha256(content).hexdigest() == job.image.sha256


def test_a_file_is_saved(client: FluxRelay, job: Job, tmp_path: Path) -> None:
    """A file is saved under a name of its own, or the one it has in the bucket; nothing else is."""
    assert job.image is not None

    own = client.jobs.save(job.id, tmp_path / "own.jpg")
    named = client.jobs.save(job, tmp_path)

    assert (own.name, named.name) == ("own.jpg", job.image.key.rpartition("/")[2])
    assert {sha256(path.read_bytes()).hexdigest() for path in (own, named)} == {job.image.sha256}
    assert set(tmp_path.iterdir()) == {own, named}


def test_a_link_needs_no_key(client: FluxRelay, job: Job) -> None:
    """Whoever has the link gets the file, under the name that was asked for."""
    assert job.image is not None

    link = client.jobs.link(job, expires=timedelta(minutes=1), download="fox.jpg")

    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["60"]
    file = httpx.get(link, trust_env=False)
    assert sha256(file.content).hexdigest() == job.image.sha256
    assert "fox.jpg" in file.headers["content-disposition"]


@pytest.mark.usefixtures("paused")
def test_no_result_yet(client: FluxRelay, tmp_path: Path) -> None:
    """A job that has not succeeded has no file, and none is left behind."""
    waiting = made(client)

    for call in (client.jobs.image, client.jobs.link, lambda job: client.jobs.save(job, tmp_path)):
        with pytest.raises(ConflictError) as caught:
            call(waiting)
        assert caught.value.type == "no-result"

    assert list(tmp_path.iterdir()) == []
    client.jobs.cancel(waiting)


def test_no_such_role(client: FluxRelay, job: Job, tmp_path: Path) -> None:
    """A role that the result lacks is told."""
    with pytest.raises(NotFoundError, match="sample"):
        client.jobs.artifact(job, "draft_cache")
    with pytest.raises(NotFoundError):
        client.jobs.save(job, tmp_path / "file", role="draft_cache")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_service_sends(
    scripted: FluxRelay, service: ScriptedService, tmp_path: Path
) -> None:
    """Where the deployment makes no links, the file comes from the service, in spite of breaks."""
    cut = answer(200, CONTENT[:1000], length=len(CONTENT))
    service.says(says(200, WITH_FILE), hangs_up, cut, refuses(503, "busy"), answer(200, CONTENT))

    assert scripted.jobs.save("an-id", tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]
    service.says(answer(200, CONTENT))
    assert scripted.jobs.image("an-id") == CONTENT
    with pytest.raises(FluxRelayError, match="makes no links"):
        scripted.jobs.link("an-id")


def test_the_key_goes_to_the_service_alone(
    make_client: MakeClient, service: ScriptedService
) -> None:
    """Whoever serves a link is not told the key."""
    with ScriptedService() as bucket:
        bucket.says(answer(200, CONTENT))
        service.says(answer(302, b"", f"location: {bucket.url}/b.png?signature=x"))

        assert make_client(service.url, "a-key").jobs.image("an-id") == CONTENT

        (there,) = bucket.requests
        assert there.target == "/b.png?signature=x"
        assert "a-key" not in json.dumps(there.headers)
        assert service.requests[0].headers["authorization"] == "Bearer a-key"


def test_a_file_that_was_changed(
    scripted: FluxRelay, service: ScriptedService, tmp_path: Path
) -> None:
    """A file with another SHA-256 than the job's is not kept; one that was there stays."""
    path = tmp_path / "file"
    path.write_bytes(b"before")
    service.says(says(200, WITH_FILE), answer(200, CONTENT[:-1] + b"!"))

    with pytest.raises(CorruptFileError):
        scripted.jobs.save("an-id", path)

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_leads_on(scripted: FluxRelay, service: ScriptedService) -> None:
    """A bucket that answers with one more link is not followed."""
    service.says(answer(302, b"", f"location: {service.url}/again"))

    with pytest.raises(UnexpectedAnswerError):
        scripted.jobs.image("an-id")


def test_a_folder_that_is_not_there(client: FluxRelay, job: Job, tmp_path: Path) -> None:
    """It is made, be it the file's or named by a slash; a place that cannot be written is told."""
    assert job.image is not None

    file = client.jobs.save(job, tmp_path / "deep" / "here" / "file")
    named = client.jobs.save(job, f"{tmp_path}/other/")

    assert sha256(file.read_bytes()).hexdigest() == job.image.sha256
    assert named == tmp_path / "other" / job.image.key.rpartition("/")[2]
    with pytest.raises(OSError, match="deep"):
        client.jobs.save(job, file / "below")


def test_a_device_is_not_replaced(
    scripted: FluxRelay, service: ScriptedService, tmp_path: Path
) -> None:
    """What is there must be a file: root would put one in the place of /dev/stdout otherwise."""
    pipe, device = tmp_path / "pipe", tmp_path / "device"
    os.mkfifo(pipe)
    device.symlink_to("/dev/null")
    for there in (pipe, device):
        service.says(says(200, WITH_FILE), answer(200, CONTENT))
        with pytest.raises(FileExistsError, match="no file"):
            scripted.jobs.save("an-id", there)
    assert (pipe.is_fifo(), device.is_char_device()) == (True, True)
    assert set(tmp_path.iterdir()) == {pipe, device}
