"""What becomes of a job whose image comes in a way that nobody asked for, but comes."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

FORMATS = ("jpeg", "png", "webp")
ODD = {
    **{
        f"redirected-{status}": Scene({"redirect_download": {"status": status}})
        for status in (301, 302, 303, 307, 308)
    },
    "redirected-five-times": Scene({"redirect_download": {"hops": 5}}),
    **{
        f"gzipped-{kind}": Scene({"encode_download": {}}, {"output_format": kind})
        for kind in FORMATS
    },
    "deflated": Scene({"encode_download": {"encoding": "deflate"}}),
    "encoded-until-asked-again": Scene({"encode_download": {"encoding": "br"}}),
    "redirected-and-gzipped": Scene({"redirect_download": {}, "encode_download": {}}),
    **{f"padded-{kind}": Scene({"pad_picture": {}}, {"output_format": kind}) for kind in FORMATS},
    "padded-much": Scene({"pad_picture": {"bytes": 3_000_000}}),
    **{
        f"followed-{kind}": Scene({"append_picture": {}}, {"output_format": kind})
        for kind in FORMATS
    },
    "followed-by-four": Scene({"append_picture": {"pictures": 4}, "pad_picture": {"bytes": 7}}),
}
#: Redirected for as long as the link lives, which is 30 s here.
ASTRAY = {
    "too-many-hops": Scene({"redirect_download": {"hops": 100}}),
    "a-circle": Scene({"redirect_download": {"to": "/results/nowhere", "hops": 100}}),
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, {**ODD, **ASTRAY})


@pytest.mark.parametrize("scene", ODD)
def test_an_image_that_comes_oddly(played: Played, scene: str) -> None:
    """A good end at the first try, made once, with the bytes that the provider made in the bucket.

    So after `redirect_download`, `encode_download`, `pad_picture` and `append_picture`; type and
    size are those of the file's first picture.
    """
    task = played.made_once(scene)

    job = played.job(scene)
    assert task["downloads"] >= 1
    assert job["image"]["content_type"] == f"image/{task['format']}"
    assert (job["image"]["width"], job["image"]["height"]) == (256, 256)
    assert job["image"]["bytes"] == task["bytes"]


@pytest.mark.parametrize("scene", ASTRAY)
def test_a_redirect_that_leads_nowhere(played: Played, scene: str) -> None:
    """A `redirect_download` that never ends is `result_expired` once the link is dead."""
    played.failed(scene, "result_expired")

    (task,) = played.tasks(scene)
    assert task["downloads"] == 0
