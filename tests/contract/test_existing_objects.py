"""An image that an earlier run stored is told as what it is, whatever its key says."""

import io
import json
from collections.abc import Callable
from hashlib import sha256

import pytest

from tests.contract.harness import A, Bench
from tests.contract.scripted_server import answer
from worker.results.stored_artifacts import object_key
from worker.steps.collect import collect

Draw = Callable[[str], bytes]
EARLIER = b"what an earlier run stored"


def _put(bench: Bench, content_type: str) -> None:
    assert bench.deps.objects.put_once(
        object_key(bench.job, "png", bench.deps),
        io.BytesIO(EARLIER),
        sha256=sha256(EARLIER).digest(),
        content_type=content_type,
        metadata={"job-id": A, "width": "320", "height": "200"},
    )


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "image/webp"])
@pytest.mark.parametrize("lives_for", [300, -1])
def test_an_image_under_a_key_without_ending_is_told_as_what_it_is(
    bench: Bench, picture: Draw, content_type: str, lives_for: float
) -> None:
    """Its key says nothing of its format, so the bucket does; the link may be dead by then."""
    bench.accept(output_key=f"no-ending/{content_type}/{{job_id}}")
    bench.storing(lives_for=lives_for)
    _put(bench, content_type)
    bench.server.script = answer(200, picture("PNG")) if lives_for > 0 else answer(403)

    collect(A, bench.deps)

    image = bench.job.image
    assert image is not None
    assert image["content_type"] == content_type
    manifest = b"".join(bench.deps.objects.chunks(f"{image['key']}.json"))
    assert json.loads(manifest)["image"] == image


def test_a_type_that_the_bucket_lost_is_told_by_the_key(bench: Bench) -> None:
    """Some servers say of every object that it is bytes; the ending of the key was ours."""
    bench.accept()
    bench.storing(lives_for=-1)
    _put(bench, "binary/octet-stream")
    bench.server.script = answer(403)

    collect(A, bench.deps)

    image = bench.job.image
    assert image is not None
    assert image["content_type"] == "image/png"
