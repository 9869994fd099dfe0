"""Images from our bucket by signed links: whole, in parts, and refused."""

import re

import httpx
import pytest

from core.security.signatures import sample_signature
from stack.stack import Stack
from tests.conftest import Eventually
from tests.drop_in.conftest import Client, MakeClient, RunService, digest
from tests.fake_s3 import FakeS3, Refusal, Stored

Sample = tuple[str, bytes]


def get(url: str, method: str = "GET", **headers: str) -> httpx.Response:
    """Ask without any key, as a browser would."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(method, url, headers=names, trust_env=False, timeout=60)


def test_whole(sample: Sample, client: Client) -> None:
    """A link needs no key and gives the stored bytes with all that describes them."""
    url, data = sample
    answer = get(url)
    task_id = re.findall(r"samples/(.+)\.jpeg", url)[0]
    image = client.get(f"/v1/jobs/{task_id}").json()["image"]
    assert (answer.status_code, answer.content) == (200, data)
    assert digest(data) == image["sha256"]
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(len(data)) == str(image["bytes"])
    assert answer.headers["etag"] == f'"{image["sha256"]}"'
    assert answer.headers["accept-ranges"] == "bytes"


def test_a_link_with_two_signatures(sample: Sample) -> None:
    """A link is signed once; of two signatures, neither counts."""
    url, _ = sample
    signature = url.rpartition("sig=")[2]
    for link in (f"{url}&sig=x", f"{url}&sig={signature}"):
        answer = get(link)
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["detail"]] == [["query", "sig"]]


def test_head(sample: Sample) -> None:
    """HEAD has the headers of the whole image and no body, also where a range is asked for."""
    url, data = sample
    for answer in (get(url, "HEAD"), get(url, "HEAD", range="bytes=0-9")):
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(data))
        assert answer.headers["etag"] == get(url).headers["etag"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=5-14", 5, 14),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=10-99999999999", 10, None),
        ("bytes=-99999999999", 0, None),
        ("BYTES=1-2", 1, 2),
    ],
)
def test_part(sample: Sample, asked: str, first: int, last: int | None) -> None:
    """One range is answered with these bytes and their place in the whole."""
    url, data = sample
    start = first % len(data)
    end = len(data) - 1 if last is None else last
    answer = get(url, range=asked)
    assert (answer.status_code, answer.content) == (206, data[start : end + 1])
    assert answer.headers["content-range"] == f"bytes {start}-{end}/{len(data)}"
    assert answer.headers["content-length"] == str(end + 1 - start)


@pytest.mark.parametrize("asked", ["bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", ""])
def test_ranges_that_are_ignored(sample: Sample, asked: str) -> None:
    """What is not one range of bytes is answered with the whole image."""
    url, data = sample
    answer = get(url, range=asked)
    assert (answer.status_code, answer.content) == (200, data)


@pytest.mark.parametrize("asked", ["bytes={size}-", "bytes=99999999-", "bytes=-0"])
def test_ranges_beyond_the_end(sample: Sample, asked: str) -> None:
    """A range beyond the end is a 416 that tells the size."""
    url, data = sample
    answer = get(url, range=asked.format(size=len(data)))
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(data)}"


def test_conditions(sample: Sample) -> None:
    """A part of another version is not sent, and a known version is not sent again."""
    url, data = sample
    etag = get(url).headers["etag"]
    assert get(url, range="bytes=0-1", if_range=etag).content == data[:2]
    for other in ('"another"', f"W/{etag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert get(url, range="bytes=0-1", if_range=other).content == data
    assert get(url, if_none_match=f'"x", W/{etag}').status_code == 304
    assert get(url, if_none_match='"x"').content == data


def test_forged_links(sample: Sample, client: Client, relay: Stack) -> None:
    """A link with another, half or no signature is refused, also that of another job."""
    url, _ = sample
    path, signature = url.split("?sig=")
    other = client.submitted("somebody else's")["id"]
    foreign = sample_signature(relay.credentials.webhook_secret, other)
    for forged in ("", signature[:-1], signature[:-1] + "é", signature.upper(), foreign):
        answer = httpx.get(path, params={"sig": forged}, trust_env=False, timeout=60)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])
    assert get(path).status_code == 403


def test_links_to_nothing(sample: Sample, client: Client, relay: Stack) -> None:
    """A rightly signed link to no image, an unfinished one, or another format is a 404."""
    url, _ = sample
    master = relay.credentials.webhook_secret
    pending = client.submitted("moderate-content")["id"]
    client.finished(pending)
    for job_id in ("no-such-job", pending):
        link = f"/v1/samples/{job_id}.jpeg?sig={sample_signature(master, job_id)}"
        answer = client.http.get(link)
        assert (answer.status_code, list(answer.json())) == (404, ["detail"])
    assert get(url.replace(".jpeg?", ".png?")).status_code == 404
    assert get(url, "POST").status_code in (404, 405)


def test_an_image_that_was_replaced_or_deleted(client: Client, relay: Stack) -> None:
    """An object that is no longer the one we stored is not sent under its name."""
    task = client.finished(client.submitted("to be deleted")["id"])
    image = client.get(f"/v1/jobs/{task['id']}").json()["image"]
    s3 = relay.s3()
    s3.put_object(Bucket=image["bucket"], Key=image["key"], Body=b"something else")
    answer = get(task["result"]["sample"])
    assert (answer.status_code, "replaced" in answer.text) == (404, True)
    s3.delete_object(Bucket=image["bucket"], Key=image["key"])
    answer = get(task["result"]["sample"])
    assert (answer.status_code, "deleted from the bucket" in answer.text) == (404, True)
    assert get(task["result"]["sample"], "HEAD").status_code == 404


@pytest.mark.parametrize(
    ("refusal", "status", "words"),
    [
        (Refusal(403, "InvalidObjectState", "not valid for its storage class"), 409, "archive"),
        (Refusal(404, "NoSuchKey", "it was deleted meanwhile"), 404, "deleted from the bucket"),
        (Refusal(503, "SlowDown", "reduce your rate"), 503, "after Retry-After"),
    ],
    ids=["archived", "deleted", "busy"],
)
def test_an_image_that_cannot_be_read(
    *,
    client: Client,
    second_service: RunService,
    relay: Stack,
    refusal: Refusal,
    status: int,
    words: str,
) -> None:
    """Who follows the link learns what to do: nothing, ask the bucket's owner, or come again."""
    task = client.finished(client.submitted("to be archived")["id"])
    image = client.get(f"/v1/jobs/{task['id']}").json()["image"]
    path = str(task["result"]["sample"]).removeprefix(relay.service_url)
    with (
        FakeS3(image["bucket"]) as server,
        second_service(**server.environment) as url,
    ):
        server.objects[image["key"]] = Stored(b"x" * image["bytes"])
        server.capabilities.get_refusal = refusal
        answer = get(url + path)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert words in answer.text
    assert "Idempotency-Key" not in answer.text


def test_links_while_the_master_is_rotated(
    sample: Sample, clients: MakeClient, second_service: RunService, relay: Stack
) -> None:
    """An older link goes on to work beside new ones as long as its master is kept."""
    url, data = sample
    path = url.removeprefix(relay.service_url)
    new, old = "a-new-master-secret-of-a-rotation-0001", relay.credentials.webhook_secret
    with second_service(FLUXRELAY_WEBHOOK_SECRET=f"{new},{old}") as rotating:
        assert get(rotating + path).content == data
        task_id = path.split("/")[-1].split(".")[0]
        fresh = clients(rotating).result(task_id)["result"]["sample"]
        assert fresh.partition("?sig=")[2] == sample_signature(new, task_id)
        assert get(fresh).content == data


def test_a_client_that_leaves(sample: Sample, eventually: Eventually) -> None:
    """Clients that go away in the middle leave the service able to serve on."""
    url, data = sample
    for _ in range(30):
        with httpx.stream("GET", url, trust_env=False, timeout=60) as answer:
            next(answer.iter_raw(16))
    eventually(lambda: get(url).content == data)
