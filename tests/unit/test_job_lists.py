"""Ids that say a time, names of indexes, and cursors."""

import time

import pytest

from core.jobs.index_names import index_names, metadata_index, model_index, value_text
from core.jobs.job import JobId
from core.jobs.job_ids import created_at_of, new_job_id, prefix_at
from core.operations.job_lists import Cursor, JobFilter
from tests.contract.jobs import make_request

ID = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")


def test_an_id_says_when_it_was_made() -> None:
    """The time in a new id is that of its making, and the ids of that time begin with it."""
    before = int(time.time() * 1000)
    job_id = new_job_id()
    after = int(time.time() * 1000)

    milliseconds = round(created_at_of(job_id) * 1000)
    assert before <= milliseconds <= after
    assert job_id.startswith(prefix_at(milliseconds))
    assert created_at_of(ID) == 1795278300.771


@pytest.mark.parametrize(("at", "prefix"), [(-5, "00000000-0000"), (2**60, "ffffffff-ffff")])
def test_times_that_no_id_can_say_are_the_nearest_that_one_can(at: int, prefix: str) -> None:
    """Before 1970 is the first id, and beyond 48 bits the last."""
    assert prefix_at(at) == prefix


def test_a_cursor_is_read_back() -> None:
    """The text of a cursor is 22 characters that need no encoding in a URL."""
    text = str(Cursor(ID))

    assert len(text) == 22
    assert Cursor.parse(text) == Cursor(ID)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", ID, "AaH-7OZjd_i6SBqxcuy0gR", "AaH-7OZjd_i6SBqxcuy0gQ==", "AaH+7OZjd/i6SBqxcuy0gQ",
        "AaH-7OZjd_i6SBqxcuy0gQ\n", "ÄaH-7OZjd_i6SBqxcuy0gQ",
    ],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Each cursor has one form; nothing else is taken for one."""
    with pytest.raises(ValueError, match=r".*"):
        Cursor.parse(text)


def test_a_job_names_its_indexes() -> None:
    """A job is indexed by its model, and by the values of the keys that are to be indexed."""
    request = make_request(metadata={"order": 7, "user": "Zoë", "note": "x", "list": [1]})

    names = index_names(request, ("order", "user", "list", "absent"))

    expected = [model_index("flux-pro-1.1"), metadata_index("order", "7")]
    assert names.split() == [*expected, metadata_index("user", "Zoë")]


@pytest.mark.parametrize(
    ("value", "text"),
    [("7", "7"), (7, "7"), (7.0, "7.0"), (True, "true"), ("true", "true"), (None, None),
     ([], None), ({}, None), ("", "")],
)  # fmt: skip
def test_values_are_compared_as_text(value: object, text: str | None) -> None:
    """Texts stand for themselves, numbers and booleans are as in JSON, nothing else is compared."""
    assert value_text(value) == text


def test_a_filter_names_the_keys_of_its_indexes() -> None:
    """Those of a tenant, besides that of the batch."""
    wanted = JobFilter(tenant="demo", model="m", batch=ID, metadata={"order": "7"})

    order = f"jobs:demo:{metadata_index('order', '7')}"
    assert wanted.keys() == ["jobs:demo:model:m", order, f"batch:{ID}:jobs"]
    assert JobFilter(tenant="demo").keys() == []
