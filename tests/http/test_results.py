"""Links to the files of a result: presigned URLs of the bucket, or the file itself."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from stack.stack import Stack
from tests.http.conftest import Caller, RunService

MakeCaller = Callable[[str, str | None], Caller]


@pytest.fixture(scope="module")
def job(api: Caller) -> dict[str, Any]:
    """Have one image made; return its job."""
    made: dict[str, Any] = api.ended(api.create("an image to be led to"))
    assert made["status"] == "succeeded"
    return made


@pytest.fixture(scope="module")
def streaming(own_service: RunService, callers: MakeCaller, relay: Stack) -> Iterator[Caller]:
    """Run a service that sends files itself; return its caller."""
    with own_service(FLUXRELAY_PRESIGN="no") as service:
        yield callers(service.url, relay.api_key)


def follow(url: str, method: str = "GET") -> httpx.Response:
    """Ask S3 with the link alone: without a key, and without our credentials."""
    return httpx.request(method, url, trust_env=False, timeout=60)


def test_the_link_leads_to_the_stored_bytes(api: Caller, job: dict[str, Any]) -> None:
    """A redirect leads to the object in the bucket, for an hour, and is not to be cached."""
    for path in ("image", "artifacts/sample"):
        answer = api.get(f"/v1/jobs/{job['id']}/{path}")
        assert (answer.status_code, answer.content) == (302, b"")
        assert answer.headers["cache-control"] == "no-store"
        file = follow(answer.headers["location"])
        assert sha256(file.content).hexdigest() == job["image"]["sha256"]
        assert file.headers["content-type"] == job["image"]["content_type"]
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["X-Amz-Expires"] == ["3600"]


def test_head_leads_to_a_link_for_head(api: Caller, job: dict[str, Any]) -> None:
    """A link is signed for one method; that of a HEAD can be asked with HEAD."""
    answer = api.client.head(
        f"/v1/jobs/{job['id']}/image", headers={"authorization": f"Bearer {api.key}"}
    )
    assert answer.status_code == 302
    head = follow(answer.headers["location"], "HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(job["image"]["bytes"]))
    assert follow(answer.headers["location"]).status_code == 403


@pytest.mark.parametrize("seconds", [1, 60, 604_800])
def test_how_long_a_link_is_valid(api: Caller, job: dict[str, Any], seconds: int) -> None:
    """The caller says for how many seconds the link is valid, up to seven days."""
    answer = api.get(f"/v1/jobs/{job['id']}/image?expires={seconds}")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["X-Amz-Expires"] == [str(seconds)]


def test_a_link_of_a_changed_life_is_refused(api: Caller, job: dict[str, Any]) -> None:
    """The life is part of what is signed: nobody can prolong it."""
    answer = api.get(f"/v1/jobs/{job['id']}/image?expires=60")
    longer = answer.headers["location"].replace("X-Amz-Expires=60", "X-Amz-Expires=6000")
    assert follow(longer).status_code == 403


@pytest.mark.parametrize(
    ("name", "plain", "quoted"),
    [
        ("fox.jpg", "fox.jpg", "fox.jpg"),
        ("Füchse im Schnee.jpg", "F_chse im Schnee.jpg", "F%C3%BCchse%20im%20Schnee.jpg"),
        ('a "red" fox; 100 %.jpg', "a _red_ fox; 100 _.jpg", "a%20%22red%22%20fox%3B%20100%20%25"),
        ("狐.jpg", "_.jpg", "%E7%8B%90.jpg"),
    ],
    ids=["plain", "umlaut", "quotes", "other script"],
)
def test_a_file_is_saved_under_a_name(
    *, api: Caller, streaming: Caller, job: dict[str, Any], name: str, plain: str, quoted: str
) -> None:
    """S3, or the service, tells the browser to save the file under the name that was asked for."""
    query = httpx.QueryParams({"download": name})
    direct = streaming.get(f"/v1/jobs/{job['id']}/image?{query}")
    link = api.get(f"/v1/jobs/{job['id']}/image?{query}").headers["location"]
    for answer in (direct, follow(link)):
        assert answer.status_code == 200, answer.text
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
        assert quoted in disposition


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"expires={value}", "query.expires") for value in ("0", "604801", "-1", "1.5", "", "x")),
        *((f"expires={value}", "query.expires") for value in ("%D9%A3", "00000000000000000060")),
        ("expires=1&expires=2", "query.expires"),
        *((f"download={name}", "query.download") for name in ("", "a/b", "..", "a%5Cb", "a%0Ab")),
        ("download=" + "x" * 201, "query.download"),
        ("life=60", "query.life"),
    ],
)
def test_bad_parameters(api: Caller, job: dict[str, Any], query: str, field: str) -> None:
    """What a link cannot have is told by its name, with what is allowed."""
    answer = api.get(f"/v1/jobs/{job['id']}/image?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["allowed"]
    assert error["fix"]


def test_a_job_without_a_result(api: Caller, streaming: Caller, full_house: None) -> None:
    """A job that has not succeeded has no file: the answer names its status."""
    del full_house
    job_id = api.create("still waiting")
    for caller in (api, streaming):
        for path in ("image", "artifacts/sample"):
            answer = caller.get(f"/v1/jobs/{job_id}/{path}")
            assert (answer.status_code, answer.json()["type"]) == (
                409,
                "urn:fluxrelay:problem:no-result",
            )
            assert "queued" in answer.json()["detail"]


def test_a_role_that_the_result_lacks(api: Caller, job: dict[str, Any]) -> None:
    """Another role is a 404 that names those of the result."""
    answer = api.get(f"/v1/jobs/{job['id']}/artifacts/draft_cache")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:fluxrelay:problem:no-such-artifact"
    assert answer.json()["detail"].endswith("it has sample")


def test_other_people_s_results(
    api: Caller, callers: MakeCaller, relay: Stack, job: dict[str, Any]
) -> None:
    """Without the tenant's key there is no link: it would be a permission."""
    stranger = callers(relay.service_url, None)
    assert stranger.get(f"/v1/jobs/{job['id']}/image").status_code == 401
    assert api.get("/v1/jobs/no-such-job/image").status_code == 404


def test_the_service_sends_the_file_itself(streaming: Caller, job: dict[str, Any]) -> None:
    """Where presigning is off, the file comes from the service: whole, in part, or not again."""
    path, key = f"/v1/jobs/{job['id']}/image", {"authorization": f"Bearer {streaming.key}"}
    whole = streaming.client.get(path, headers=key)
    assert (whole.status_code, sha256(whole.content).hexdigest()) == (200, job["image"]["sha256"])
    assert whole.headers["content-type"] == job["image"]["content_type"]
    part = streaming.client.get(path, headers=key | {"range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    known = {"if-none-match": whole.headers["etag"]}
    assert streaming.client.get(path, headers=key | known).status_code == 304
    head = streaming.client.head(path, headers=key)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))


def test_a_deleted_file_is_not_found(api: Caller, streaming: Caller, relay: Stack) -> None:
    """A file that was deleted from the bucket is a 404, of the service's or of S3."""
    image = api.ended(api.create("to be deleted"))
    stored = image["image"]
    link = api.get(f"/v1/jobs/{image['id']}/image").headers["location"]
    relay.s3().delete_object(Bucket=stored["bucket"], Key=stored["key"])
    assert follow(link).status_code == 404
    answer = streaming.get(f"/v1/jobs/{image['id']}/image")
    assert (answer.status_code, "deleted" in answer.json()["detail"]) == (404, True)


def test_links_begin_with_the_address_for_callers(
    own_service: RunService, callers: MakeCaller, relay: Stack, job: dict[str, Any]
) -> None:
    """A deployment whose callers reach S3 elsewhere says where; the signature is for that host."""
    with own_service(FLUXRELAY_S3_PUBLIC_ENDPOINT="https://files.example") as service:
        answer = callers(service.url, relay.api_key).get(f"/v1/jobs/{job['id']}/image")
    parts = urlsplit(answer.headers["location"])
    assert (parts.scheme, job["image"]["key"] in parts.path) == ("https", True)
    assert parts.netloc in ("files.example", f"{job['image']['bucket']}.files.example")
