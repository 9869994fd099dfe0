"""A body that comes in pieces, cut anywhere, is read as it would be read whole."""

import base64
import json
import random
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from service.body.json_scanner import LONG, BodyScanner, FileFields, ScannedBody, SkeletonTooLarge
from service.http.problems import Problem
from tests.unit.scanner_cases import (
    DATA,
    FIELDS,
    LARGEST,
    LARGEST_IMAGE,
    LARGEST_VIDEO,
    TEXT,
    OpenFiles,
    at_every,
    request,
    scan,
    whole,
)


def test_without_a_long_image_nothing_is_taken_out() -> None:
    """A body of short texts is its own skeleton, wherever it is cut."""
    raw = json.dumps(request(image="aGk=", seed=-1.5e3, list=[{}, [], "x", None, True])).encode()

    for pieces in at_every(raw, range(len(raw))):
        assert scan(pieces) == ScannedBody(raw, {}, [])


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_images_are_taken_out_wherever_the_text_is_cut(
    indent: int | None, *, ascii_only: bool
) -> None:
    """Around the ends of every image, a cut at any byte makes no difference."""
    body = request(image=TEXT, between="\u00e4\\", mask=f"data:image/png;base64,{TEXT}")
    raw = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode()
    edges = [raw.index(TEXT.encode()), raw.rindex(TEXT.encode())]
    places = {edge + at + by for edge in edges for at in (0, len(TEXT)) for by in range(-12, 12)}

    for pieces in at_every(raw, sorted(place for place in places if 0 < place < len(raw))):
        scanned = scan(pieces)
        assert whole(scanned) == request(image=DATA, between="\u00e4\\", mask=DATA)
        assert len(scanned.skeleton) < 1000
        assert [inline.sha256 for inline in scanned.files.values()] == [sha256(DATA).digest()] * 2


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100, 4097, LONG - 1, LONG, LONG + 1])
def test_pieces_of_any_size(size: int) -> None:
    """From single bytes up, pieces of one size give the same body."""
    raw = json.dumps(request(image=TEXT.replace("/", "\\/"), mask=TEXT)).encode()
    raw = raw.replace(b"\\\\/", b"\\/")

    assert whole(scan(raw[at : at + size] for at in range(0, len(raw), size))) == request(
        image=DATA, mask=DATA
    )


def _escaped(rng: random.Random) -> str:
    """Write the base64 as a JSON string in one of the ways in which it may be written."""
    ways: tuple[Callable[[str], str], ...] = (
        lambda character: character,
        lambda character: f"\\u{ord(character):04x}",
        lambda character: f"\\u{ord(character):04X}",
        lambda character: character + rng.choice(["\\n", "\\r\\n", " ", "\\t", "\\u000a", "\\f"]),
        lambda character: "\\/" if character == "/" else character,
    )
    weights = (40, 1, 1, 1, 10)
    chosen = rng.choices(ways, weights, k=len(TEXT))
    return '"' + "".join(way(character) for way, character in zip(chosen, TEXT, strict=True)) + '"'


@pytest.mark.parametrize("seed", range(25))
def test_any_way_of_writing_cut_anywhere(seed: int) -> None:
    """Escapes and line breaks within an image, cut at random, make no difference."""
    rng = random.Random(seed)  # noqa: S311 - a test's dice
    written = _escaped(rng)
    raw = json.dumps(request(image="IMAGE", mask="MASK"), indent=rng.choice([None, 1])).encode()
    raw = raw.replace(b'"IMAGE"', written.encode()).replace(b'"MASK"', _escaped(rng).encode())
    cuts = sorted(rng.choices(range(len(raw)), k=rng.choice([3, 30, 3000])))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    assert whole(scan(pieces)) == request(image=DATA, mask=DATA)


@pytest.mark.parametrize(
    "body",
    [
        {"image": TEXT},
        {"input": {"prompt": TEXT}},
        {"input": {"image": [TEXT]}},
        {"input": {"image": {"image": TEXT}}},
        {"input": [{"image": TEXT}]},
        {"input": [], "output": {"image": TEXT}},
        {"input": {"image": 5}, "metadata": {"image": TEXT}},
        [{"input": {"image": TEXT}}],
        {"a": {"input": {"image": TEXT}}},
        {"input": {"a": ["image", TEXT, "image"]}},
        {"input": {TEXT: "image"}},
        {"input": TEXT},
        ["input", {"image": TEXT}],
        TEXT,
    ],
)
def test_other_long_texts_stay(body: Any) -> None:
    """A long text that is not the value of an image's field stays where it is."""
    raw = json.dumps(body).encode()

    assert scan([raw]) == ScannedBody(raw, {}, [])


@pytest.mark.parametrize(
    "body",
    [
        {"input": {"a": [[{}], {"image": 1}], "image": TEXT}},
        {"list": [[[]], {"x": {}}], "input": {"a": {"b": {"c": []}}, "image": TEXT, "z": []}},
        {"input": {"list": ["]", "}", '"', "{"], "image": TEXT}, "x": "}"},
        {"input": {"": "", ":": ":", "image": TEXT}},
    ],
)
def test_images_are_found_among_brackets(body: dict[str, Any]) -> None:
    """What stands before the image, nested or in texts, does not hide it."""
    body["input"]["image"] = TEXT

    assert whole(scan([json.dumps(body).encode()]))["input"]["image"] == DATA


def test_an_image_below_other_fields() -> None:
    """Images may stand at the body's top, or deeper, where the caller of the scanner says so."""
    deep = {"a": {"b": {"image": TEXT}}, "image": "x"}

    assert whole(scan([json.dumps({"image": TEXT}).encode()], ())) == {"image": DATA}
    assert whole(scan([json.dumps(deep).encode()], ("a", "b")))["a"]["b"] == {"image": DATA}


def test_each_field_has_its_own_limit() -> None:
    """A video may be larger than an image, and is kept whole; the image beside it is not."""
    data = DATA * 3
    fields = dict.fromkeys(("image", "video"), base64.b64encode(data).decode())

    image, video = scan([json.dumps({"input": fields}).encode()]).files.values()

    assert LARGEST_IMAGE < len(data) <= LARGEST_VIDEO
    assert (image.size, video.size) == (len(data), len(data))
    assert len(image.file.read()) <= LARGEST_IMAGE
    assert video.file.read() == data


def test_an_escaped_name() -> None:
    """A field's name counts as it reads, not as it is written."""
    raw = b'{"in\\u0070ut": {"\\u0069mage" : "%b"}}' % TEXT.encode()

    for pieces in at_every(raw, range(45)):
        assert whole(scan(pieces)) == {"input": {"image": DATA}}


@pytest.mark.parametrize("second", [base64.b64encode(DATA[::-1]).decode(), "aGk=", ""])
def test_an_image_that_comes_twice_is_refused(second: str) -> None:
    """Two images of one name are two fields of one name, though the first one is in a file."""
    raw = f'{{"input": {{"image": "{TEXT}", "image": "{second}"}}, "x": 1}}'

    with pytest.raises(Problem) as caught:
        whole(scan([raw.encode()]))

    assert caught.value.kind == "duplicate-field"


def test_a_reference_cannot_be_guessed() -> None:
    """References are new for each body, and hold 128 random bits."""
    raw = json.dumps(request(image=TEXT)).encode()
    references = {next(iter(scan([raw]).files)) for _ in range(50)}

    assert len(references) == 50
    assert min(len(reference.partition(":")[0]) for reference in references) == 32
    forged = json.dumps(request(image=next(iter(references)), mask=TEXT)).encode()
    assert whole(scan([forged]))["input"]["image"] in references


@pytest.mark.parametrize(
    "text",
    [TEXT[:-1], TEXT + "=", TEXT + "A", TEXT[:70_000] + "!" * 8, "ä" * 70_000, "a b, c " * 20_000],
)
def test_what_is_no_base64_is_noted(text: str) -> None:
    """A long text that is no base64 is JSON all the same; the field is reported later."""
    for raw in (json.dumps(request(image=text)), json.dumps(request(image=text), indent=1)):
        assert whole(scan([raw[:90_000].encode(), raw[90_000:].encode()])) == request(
            image="no base64"
        )


def test_an_image_that_is_too_large_is_counted_and_not_kept() -> None:
    """The bytes over the limit do not reach the disk."""
    raw = json.dumps(request(image=base64.b64encode(DATA * 3).decode())).encode()

    (image,) = scan(raw[at : at + 50_000] for at in range(0, len(raw), 50_000)).files.values()

    assert (image.is_base64, image.size) == (True, 3 * len(DATA))
    assert len(image.file.read()) <= LARGEST_IMAGE


def test_nothing_is_found_in_utf_16() -> None:
    """A body in UTF-16 stays whole, for whoever reads it next to refuse it."""
    body = request(image="aGk=" * 20_000)
    raw = json.dumps(body).encode("utf-16")

    assert scan([raw[:70_001], raw[70_001:]]) == ScannedBody(raw, {}, [])


def test_the_skeleton_is_limited() -> None:
    """So much may stand there besides images, and no byte more."""
    room = LARGEST - len(json.dumps(request(prompt="")))

    scan([json.dumps(request(prompt="x" * room)).encode()])
    for field in ("prompt", "image_"):
        raw = json.dumps(request(**{"prompt": "", field: "x" * (room + 1)})).encode()
        with pytest.raises(SkeletonTooLarge):
            scan([raw])


def test_the_files_are_few() -> None:
    """Of twenty long texts in images' places sixteen get a file; all are closed together."""
    files = OpenFiles()
    scanner = BodyScanner(FileFields(FIELDS), largest_skeleton=LARGEST, open_file=files)
    fields = ", ".join(f'"image": "{TEXT}"' for _ in range(20))
    scanner.feed(f'{{"input": {{{fields}}}}}'.encode())

    assert len(scanner.end().files) == len(files) == 16
    assert not any(file.closed for file in files)
    scanner.close()
    assert all(file.closed for file in files)
