"""`GET /v1/jobs` over HTTP: pages, filters, and what is refused."""

import uuid
from collections.abc import Callable, Iterator, Mapping

import pytest
import redis

from stack.stack import Stack
from tests.http.conftest import Caller, Rotating

MakeCaller = Callable[[str, str | None], Caller]


@pytest.fixture
def paused(redis_of: "redis.Redis") -> Iterator[None]:
    """Have jobs wait, so that nothing moves meanwhile."""
    redis_of.set("pool:default:paused", "a test", px=60_000)
    yield
    redis_of.delete("pool:default:paused")


def ids(caller: Caller, query: str) -> list[str]:
    """Return the ids on one page that must be the last."""
    answer = caller.get(f"/v1/jobs?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["next_cursor"] is None
    return [job["id"] for job in answer.json()["jobs"]]


def test_a_caller_lists_its_jobs_page_by_page(api: Caller, paused: None) -> None:
    """Pages show the jobs as `GET /v1/jobs/{id}` does, newest first, until there is no cursor."""
    assert paused is None
    made = [api.create(f"listed {number}", priority=-9) for number in range(3)][::-1]
    oldest = api.job(made[-1])

    since = f"created_after={oldest['created_at']}&status=queued,submitting"
    first = api.get(f"/v1/jobs?{since}&limit=2").json()
    second = api.get(f"/v1/jobs?{since}&limit=2&cursor={first['next_cursor']}").json()

    assert [job["id"] for job in (*first["jobs"], *second["jobs"])] == made
    assert second["next_cursor"] is None
    assert second["jobs"] == [oldest | {"queue": None}]
    assert {"created_at", "timeline", "provider"} <= set(oldest)


def test_a_waiting_job_shows_its_place_in_line(api: Caller, paused: None) -> None:
    """The position counts the jobs ahead; a job that does not wait has none."""
    assert paused is None
    first, second = api.create("first", priority=-50), api.create("second", priority=-60)

    ahead, behind = (api.job(job_id)["queue"] for job_id in (first, second))
    assert set(ahead) == {"position", "estimated_start_at"}
    assert behind["position"] == ahead["position"] + 1


def test_filters_over_http(
    rotating: Rotating, callers: MakeCaller, paused: None, redis_of: "redis.Redis"
) -> None:
    """Status, model, times, batch and metadata select; another tenant has its own list."""
    assert paused is None
    caller, other = callers(rotating.url, rotating.other_key), uuid.uuid4()
    marked, plain = caller.create("a", metadata={"order": 7}), caller.create("b")
    kontext = caller.create("c", model="flux-kontext-pro", metadata={"order": "7"})
    redis_of.zadd(f"batch:{other}:jobs", {plain: 0}, nx=True)
    created = {one: caller.job(one)["created_at"] for one in (marked, plain, kontext)}
    since = f"created_after={created[marked]}"

    assert ids(caller, since) == [kontext, plain, marked]
    assert ids(caller, f"{since}&model=flux-kontext-pro") == [kontext]
    assert ids(caller, f"{since}&metadata.order=7") == [kontext, marked]
    assert ids(caller, f"{since}&metadata.order=7&model=flux-pro-1.1") == [marked]
    assert ids(caller, f"batch={other}") == [plain]
    assert ids(caller, f"{since}&status=succeeded&status=failed") == []
    assert ids(caller, f"{since}&status=queued") == [kontext, plain, marked]
    assert ids(caller, f"{since}&created_before={created[kontext]}") == [plain, marked]
    redis_of.delete(f"batch:{other}:jobs")


@pytest.mark.parametrize(
    "time",
    ["2099-01-01T00:00:00Z", "2099-01-01T01:00:00+01:00", "2099-01-01T01:00:00%2B01:00",
     "4070908800", "4070908800.5", "2099-01-01T00:00:00.123456789z"],
)  # fmt: skip
def test_times_have_several_forms(api: Caller, time: str) -> None:
    """ISO 8601 with a zone and Unix seconds are read; a plus sign need not be encoded."""
    assert ids(api, f"created_after={time}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stat=queued", "query.stat"),
        ("status=done", "query.status"),
        ("status=queued,", "query.status"),
        ("status=", "query.status"),
        ("model=flux-nonsense", "query.model"),
        ("model=flux-dev&model=flux-dev", "query.model"),
        ("created_after=yesterday", "query.created_after"),
        ("created_after=2026-01-01T00:00:00", "query.created_after"),
        ("created_before=2026-01-01", "query.created_before"),
        ("created_before=-1", "query.created_before"),
        ("created_before=nan", "query.created_before"),
        ("created_before=1e99", "query.created_before"),
        ("created_before=1_795_278_303", "query.created_before"),
        ("created_after=\u0661\u0662\u0663", "query.created_after"),
        ("created_after=\uff11\uff12", "query.created_after"),
        ("created_after=%2B5", "query.created_after"),
        ("created_after=5%20", "query.created_after"),
        ("created_after=2&created_before=1", "query.created_before"),
        (
            "created_after=2026-01-01T00:00:00.001Z&created_before=1767225600",
            "query.created_before",
        ),
        ("batch=7", "query.batch"),
        ("limit=0", "query.limit"),
        ("limit=101", "query.limit"),
        ("limit=%2B5", "query.limit"),
        ("cursor=zzz", "query.cursor"),
        ("metadata=7", "query.metadata"),
        ("metadata.nobody=7", "query.metadata.nobody"),
        ("metadata.order=7&metadata.order=8", "query.metadata.order"),
    ],
)
def test_a_filter_that_is_not_understood_is_refused(
    rotating: Rotating, callers: MakeCaller, query: str, field: str
) -> None:
    """It is a 422 that names the parameter, and never an empty list, nor a whole one."""
    answer = callers(rotating.url, rotating.other_key).get(f"/v1/jobs?{query}")

    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field


def test_a_key_that_is_not_indexed_says_who_can_change_that(api: Caller) -> None:
    """A filter by a key that is not indexed is refused, with the setting's name."""
    (error,) = api.get("/v1/jobs?metadata.nobody=7").json()["errors"]

    assert "FLUXRELAY_INDEXED_METADATA" in error["fix"]


def test_a_list_needs_a_key(relay: Stack, callers: MakeCaller) -> None:
    """Without a key nothing is listed."""
    assert callers(relay.service_url, None).get("/v1/jobs").status_code == 401


def test_the_path_names_its_methods(api: Caller) -> None:
    """Any other method is refused, with those that the path takes; HEAD is that of the list."""
    answer = api.client.delete("/v1/jobs")
    headers: Mapping[str, str] = {"authorization": f"Bearer {api.key}"}

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert api.client.head("/v1/jobs", headers=headers).status_code == 200
