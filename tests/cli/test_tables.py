"""Tables as spreadsheets save them, and files of items whose names are alike."""

import csv
import json
from pathlib import Path

import pytest

from fluxrelay.cli.batch_files import read_batch
from fluxrelay.cli.exits import CommandFailed
from tests.cli.conftest import Cli

_TEXT = {"kind": "text", "required": False}
_MODEL: dict[str, object] = {
    "name": "drawing",
    "parameters": {"prompt": _TEXT, "seed": {"kind": "integer"}, "images": {"kind": "images"}},
    "variant_field": None,
    "variants": [],
}


def items_of(table: str, folder: Path) -> list[dict[str, object]]:
    """Return the items of a table."""
    file = folder / "table.csv"
    file.write_text(table, encoding="utf-8", newline="")
    return read_batch(str(file), [_MODEL], "drawing", []).items


@pytest.mark.parametrize(
    "table",
    [
        "prompt,seed\nA fox,7\n,\n,\n",
        "prompt;seed\r\nA fox;7\r\n;\r\n ; \r\n",
        "prompt,seed\n,\nA fox,7\n\n",
        "prompt,seed,,\nA fox,7,,\n,,,\n",
        "prompt,seed\nA fox,7,, \n",
    ],
    ids=["below", "with blanks", "above", "with empty columns", "with more cells"],
)
def test_empty_cells_are_no_items(tmp_path: Path, table: str) -> None:
    """Each item costs money, so the empty rows that a spreadsheet leaves make none."""
    assert items_of(table, tmp_path) == [
        {"custom_id": "1", "input": {"prompt": "A fox", "seed": 7}},
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("prompt,prompt\nA fox,An owl\n", "line 2: prompt is given twice"),
        ("prompt,input.prompt\nA fox,An owl\n", "line 2: prompt is given twice"),
        ("prompt, prompt \nA fox,An owl\n", "line 2: prompt is given twice"),
        ("custom_id,prompt,custom_id\na,A fox,b\n", "line 2: two of its cells are headed custom"),
        ("prompt,metadata.x,metadata.x\nA fox,1,2\n", "line 2: two of its cells are headed meta"),
        ("prompt,,\nA fox,,An owl\n", "line 2: it has more cells than there are headings"),
        ("prompt\nA fox,,An owl\n", "line 2: it has more cells than there are headings"),
    ],
)
def test_no_cell_is_lost(tmp_path: Path, table: str, said: str) -> None:
    """A cell that another one would replace, or that no heading names, is a mistake."""
    with pytest.raises(CommandFailed) as raised:
        items_of(table, tmp_path)
    assert raised.value.details[0].startswith(said)


def test_a_list_has_a_column_for_each_of_its_images(tmp_path: Path) -> None:
    """Columns of one name are one list where the parameter takes one."""
    table = "images,images,prompt\nhttps://x.example/1,https://x.example/2,A fox\n"
    (item,) = items_of(table, tmp_path)
    images = ["https://x.example/1", "https://x.example/2"]
    assert item["input"] == {"images": images, "prompt": "A fox"}


def test_a_cell_holds_a_whole_image(tmp_path: Path) -> None:
    """As base64 it is longer than what the CSV module takes by itself."""
    image = "A" * 500_000
    (item,) = items_of(f"images,prompt\n{image},A fox\n", tmp_path)
    assert item["input"] == {"images": image, "prompt": "A fox"}


def test_a_small_table_leaves_the_limit_of_others(tmp_path: Path) -> None:
    """The limit of a cell is one of the whole process, so a small table does not lower it."""
    before = csv.field_size_limit()

    assert len(items_of("prompt\nA fox\n", tmp_path)) == 1

    assert csv.field_size_limit() == before


def test_items_of_similar_names_are_all_saved(cli: Cli, tmp_path: Path) -> None:
    """Names that would become the same file's, or no file's, get files of their own."""
    names = ["a/b", "a:b", "a_b", "..", ".", " a_b", "a_b.", "\u96e8", "\U0001f98a", "\U0001f43a"]
    names += ["caf\u00e9", "cafe\u0301", "CON", "nul.x", "\u96e8" * 64, "\U00020000" * 64]
    picture = {"prompt": "x", "width": 256, "height": 256}
    lines = [json.dumps({"custom_id": name, "input": picture}) for name in names]
    (tmp_path / "items.ndjson").write_text("\n".join(lines), encoding="utf-8")

    done = cli("batch", "items.ndjson", "-m", "flux-pro-1.1", "--new", "--save", "made", "--json")

    saved = json.loads(done.out)["saved"]
    files = {path.name for path in (tmp_path / "made").iterdir()}
    assert len(saved) == len(set(saved)) == len(files) == len(names) + 1
    assert {"a_b.jpg", "\u96e8.jpg", "caf\u00e9.jpg"} < files
    assert not {"CON.jpg", "nul.x.jpg", "_.jpg"} & files
