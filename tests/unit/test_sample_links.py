"""Results told in other shapes than the documented one: what is understood, and what is shown."""

import json
from typing import Any

import pytest

from core.provider.sample_links import bounded
from core.provider.wire_format import Kind, Notice, parse_notice

URL = "https://delivery-eu1.bfl.ai/results/ab/sample.jpeg?sig=secret"
OTHER = "https://delivery-eu1.bfl.ai/results/cd/sample.jpeg?sig=secret"


def _read(body: dict[str, Any]) -> Notice:
    return parse_notice(json.dumps(body).encode(), 1_750_000_000.0, 600)


def _ready(result: Any) -> Notice:
    return _read({"id": "t1", "status": "Ready", "result": result})


@pytest.mark.parametrize(
    "result",
    [
        {"sample": [URL]},
        {"sample": [URL, URL]},
        {"sample": {"url": URL}},
        {"sample": [{"url": URL}]},
        {"sample": "", "samples": [URL]},
        {"sample": None, "url": URL},
        {"sample": "see url", "url": URL},
        {"samples": [URL]},
        {"samples": URL},
        {"url": URL},
        {"image": URL},
        {"video": {"url": URL}},
        {"images": [{"url": URL, "width": 5}]},
        {"output": [URL]},
        URL,
        [URL],
        [{"sample": URL}],
        {"sample": URL, "samples": [URL, OTHER]},
        {"sample": [URL], "prompt": OTHER, "webhook_url": OTHER},
        {"sample": f" {URL}"},
        {"sample": f"{URL}\n"},
        {"samples": [f"\t{URL} "]},
    ],
)
def test_one_link_is_understood_wherever_it_stands(result: Any) -> None:
    """A list of one, another name, no object around it: there is one link to the image."""
    notice = _ready(result)

    assert (notice.kind, notice.url) == (Kind.READY, URL)


@pytest.mark.parametrize(
    ("result", "links"),
    [
        ({}, {}),
        ({"draft_cache": OTHER}, {"draft_cache": OTHER}),
        ({"draft_cache": f" {OTHER}\n"}, {"draft_cache": OTHER}),
        ({"draft_caches": [OTHER]}, {"draft_cache": OTHER}),
        ({"draft_caches": OTHER}, {"draft_cache": OTHER}),
        ({"draft_caches": {"hd": {"url": OTHER}}}, {"draft_cache": OTHER}),
        ({"draft_cache": OTHER, "draft_caches": [OTHER]}, {"draft_cache": OTHER}),
        (
            {"draft_cache": OTHER, "draft_caches": [OTHER, f"{OTHER}2"]},
            {"draft_cache": OTHER, "draft_cache_2": f"{OTHER}2"},
        ),
        ({"draft_cache": None, "draft_caches": []}, {}),
        ({"draft_cache": 5, "draft_caches": ["none", 7]}, {}),
        ({"preview": OTHER, "thumbnails": [OTHER]}, {}),
    ],
)
def test_a_draft_s_bundle_is_found_wherever_it_stands(result: Any, links: dict[str, str]) -> None:
    """Under both names that were seen, alone or in a list; other links are none of the result."""
    notice = _ready({"sample": URL, **result})

    assert (notice.kind, notice.url) == (Kind.READY, URL)
    assert notice.more_urls == links


def test_the_first_link_to_expire_limits_them_all() -> None:
    """All files of a result must be stored, so the time until then is the shortest of them."""
    early, late = "se=2025-06-15T15:20:00Z", "se=2025-06-15T16:00:00Z"

    for sample, bundle in ((early, late), (late, early)):
        notice = _ready({"sample": f"{URL}&{sample}", "draft_cache": f"{OTHER}&{bundle}"})
        assert notice.expires_at == 1_750_000_800.0


def test_a_bundle_without_its_video_is_no_result() -> None:
    """The sample is what was asked for: without it there is nothing to store yet."""
    notice = _ready({"draft_cache": OTHER})

    assert (notice.kind, dict(notice.more_urls)) == (Kind.UNUSABLE, {})


@pytest.mark.parametrize("name", ["sample", "samples"])
def test_a_link_beside_the_result_is_understood(name: str) -> None:
    """Some leave the object around it away."""
    notice = _read({"id": "t1", "status": "Ready", name: [URL]})

    assert (notice.kind, notice.url) == (Kind.READY, URL)


def test_what_comes_with_a_result_in_a_list_is_read() -> None:
    """The seed is needed to make the image again."""
    notice = _ready([{"sample": URL, "seed": 7}])

    assert (notice.url, notice.seed) == (URL, 7)


def test_a_sample_that_is_no_link_is_taken_as_it_is() -> None:
    """There is a result, though not here: the provider is asked for it by whoever collects it."""
    assert _ready({"sample": "/results/ab"}).url == "/results/ab"


@pytest.mark.parametrize(
    ("result", "shape"),
    [
        (None, '"null"'),
        ("", '"empty str"'),
        ({}, "{}"),
        ([], "[]"),
        (5, '"int"'),
        ({"sample": ""}, '{"sample": "empty str"}'),
        ({"sample": 1.5, "seed": True}, '{"sample": "float", "seed": "bool"}'),
        ({"sample": [URL, OTHER]}, '{"sample": ["str", "str"]}'),
        ({"samples": [URL, OTHER]}, '{"samples": ["str", "str"]}'),
        ({"urls": {"a": URL}, "b": []}, '{"urls": {"a": "str"}, "b": []}'),
        ({URL: 1}, '{"?": "int"}'),
        ({"sample": "x" * 20_000}, '{"sample": "str"}'),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, '{"a": {"b": {"c": {"d": "..."}}}}'),
        ([1] * 9, json.dumps(["int"] * 8 + ["..."])),
    ],
)
def test_what_names_no_single_link_is_shown_by_its_shape(result: Any, shape: str) -> None:
    """Its keys and types are told, and nothing that somebody could fetch."""
    notice = _ready(result)

    assert notice.kind is Kind.UNUSABLE
    assert notice.message.endswith(f"its result was {shape}")
    assert "secret" not in notice.message


def test_a_shape_is_short() -> None:
    """It goes into the job's error."""
    wide = {f"key{n}": {f"key{m}": [[1], [2]] for m in range(9)} for n in range(99)}

    assert len(_ready({"sample": wide}).message) < 500


def test_details_are_bounded() -> None:
    """They are kept in the record and told in the callback: megabytes become a few thousand."""
    details = {"error": "Out of memory", "trace": "x" * 5_000_000, "parts": [{"a": 1}] * 100_000}
    notice = _read({"id": "t1", "status": "Error", "details": details})

    kept = notice.details or {}
    assert notice.message.endswith("Out of memory")
    assert kept["error"] == "Out of memory"
    assert kept["trace"] == "x" * 500 + "..."
    assert len(json.dumps(kept)) <= 4096


def test_many_details_are_bounded() -> None:
    """However they are made up."""
    assert len(json.dumps(bounded({"k" * 900 + str(n): "v" * 50 for n in range(900)}))) <= 4096


def test_small_details_stay_as_they_are() -> None:
    """Nothing is taken away from what fits."""
    details = {"Moderation Reasons": ["Violence"], "nested": {"a": [1, None]}}

    assert bounded(details) == details
