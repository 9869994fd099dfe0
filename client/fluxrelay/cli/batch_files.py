"""Batches as files: NDJSON or CSV in, items out, and the key that the same file always has."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from fluxrelay.cli.exits import CommandFailed, wrong
from fluxrelay.cli.values import input_with_files, model_named, pair, read, typed_input
from fluxrelay.errors import complaint

_OWN_COLUMNS: Final = ("custom_id", "model", "priority", "region", "callback", "deadline")
_NUMBERS: Final = ("priority", "deadline")

Model = Mapping[str, Any]


@dataclass(frozen=True)
class BatchFile:
    """What a file asks for.

    Attributes:
        items: The items; files among their inputs are paths.
        options: `defaults` and the other options of the file's first line, if it has such a line.
        lines: The line of each item.
        left_out: What is wrong with lines that are no items, each with its `line` and `detail`.
    """

    items: list[dict[str, Any]]
    options: dict[str, Any]
    lines: list[int]
    left_out: list[dict[str, Any]]

    def of_the_file(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the service says of an item, with the line that it has in the file."""
        sent = int(entry.get("line") or 0) - 1 - bool(self.options)
        known = 0 <= sent < len(self.lines)
        return {**entry, "line": self.lines[sent]} if known else dict(entry)

    def choose(self, **options: Any) -> None:
        """Set options of the batch, those that are not None; they beat the file's."""
        self.options.update({name: v for name, v in options.items() if v is not None})

    def default(self, **fields: Any) -> None:
        """Set fields of all items that do not have them, those that are not None."""
        given = {name: v for name, v in fields.items() if v is not None}
        if given:
            self.options["defaults"] = {**self.options.get("defaults", {}), **given}

    def key(self) -> str:
        """Return the idempotency key, which depends on all that is sent, files included."""
        digest = hashlib.sha256()
        for part in (self.options, *self.items):
            text = json.dumps(part, sort_keys=True, default=_digest_of)
            digest.update(text.encode() + b"\n")
        return f"batch-{digest.hexdigest()[:40]}"


def read_batch(
    path: str,
    models: Sequence[Model],
    model: str | None,
    params: Sequence[str],
    *,
    skip: bool = False,
) -> BatchFile:
    """Return what a file asks for.

    Args:
        path: The file; its name ends in `.csv`, or it is NDJSON; `-`: NDJSON of standard input.
        models: The models, as `GET /v1/models` shows them.
        model: The model of all items that name none.
        params: Parameters of all items that do not have them, as `name=value`.
        skip: Whether lines that are wrong are left out.

    Raises:
        CommandFailed: The file cannot be read, or lines of it are wrong; each is named.
    """
    try:
        text = read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong(f"{path} is not UTF-8; save it as UTF-8.") from None
    folder = Path(path).parent if path != "-" else Path()
    options = {} if path.lower().endswith(".csv") else _options(text)
    defaults = {**options.pop("defaults", {})}
    if model:
        defaults["model"] = model
    reader = _Reader(models, defaults.get("model"), folder)
    rows = reader.of_csv(text) if path.lower().endswith(".csv") else reader.of_ndjson(text)
    read_rows = list(rows)
    left_out = [{"line": n, "detail": r.message} for n, r in read_rows if _is_wrong(r)]
    good = [(number, row) for number, row in read_rows if not _is_wrong(row)]
    if left_out and not skip:
        count = "a line is" if len(left_out) == 1 else f"{len(left_out)} lines are"
        raise wrong(f"Nothing was sent: {count} wrong.", *map(complaint, left_out[:20]))
    if not good:
        raise wrong(f"{path} holds no items.")
    if params:
        view = model_named(_model_of(defaults, "--param needs --model"), models)
        given = typed_input(view, [pair(one, "--param") for one in params])
        defaults["input"] = {**defaults.get("input", {}), **given}
    if defaults:
        options["defaults"] = defaults
    return BatchFile([row for _, row in good], options, [number for number, _ in good], left_out)


def _is_wrong(row: object) -> bool:
    return isinstance(row, CommandFailed)


def _options(text: str) -> dict[str, Any]:
    """Return the first line if it is one of options, which has no `custom_id`."""
    first = text.lstrip().partition("\n")[0]
    try:
        value = json.loads(first)
    except ValueError:
        return {}
    return value if isinstance(value, dict) and "custom_id" not in value else {}


class _Reader:
    def __init__(self, models: Sequence[Model], model: str | None, folder: Path) -> None:
        self._models, self._model, self._folder = models, model, folder

    def of_ndjson(self, text: str) -> Iterator[tuple[int, Any]]:
        lines = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
        for number, line in lines[bool(_options(text)) :]:
            yield number, _caught(self._item, line)

    def of_csv(self, text: str) -> Iterator[tuple[int, Any]]:
        head = text.partition("\n")[0]
        delimiter = max(",;\t", key=head.count)
        # A file as base64 is longer than the usual limit, which the whole process shares.
        csv.field_size_limit(max(len(text), csv.field_size_limit()))
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            headings = [name.strip() for name in next(rows, [])]
            # A spreadsheet leaves rows of empty cells, which are no items.
            filled = (row for row in rows if any(map(str.strip, row)))
            for count, row in enumerate(filled, 1):
                yield rows.line_num, _caught(self._row, headings, row, str(count))
        except csv.Error as error:
            # What comes after it cannot be told from it, so that it is not to be left out.
            line = rows.line_num
            raise wrong(f"Nothing was sent: line {line} is not CSV: {error}.") from None

    def _item(self, line: str) -> dict[str, Any]:
        try:
            item = json.loads(line)
        except ValueError:
            raise wrong("it is not JSON") from None
        if not isinstance(item, dict) or not isinstance(item.get("input", {}), dict):
            raise wrong("it is no object with an object as its input")
        name = item.get("model", self._model)
        view = next((one for one in self._models if one["name"] == name), None)
        if "input" in item:
            item["input"] = input_with_files(view, item["input"], self._folder)
        return item

    def _row(self, headings: Sequence[str], row: Sequence[str], count: str) -> dict[str, Any]:
        item: dict[str, Any] = {"custom_id": count}
        metadata: dict[str, str] = {}
        pairs, own = [], set()
        for name, text in _cells(headings, row):
            if name in _OWN_COLUMNS or name == "output.key" or name.startswith("metadata."):
                if name in own:
                    raise wrong(f"two of its cells are headed {name}")
                own.add(name)
            if name in _OWN_COLUMNS:
                item[name] = _own(name, text)
            elif name.startswith("metadata."):
                metadata[name.removeprefix("metadata.")] = text
            elif name == "output.key":
                item["output"] = {"key": text}
            else:
                pairs.append((name.removeprefix("input."), text))
        if metadata:
            item["metadata"] = metadata
        model = _model_of({"model": self._model, **item}, "it names no model; give --model")
        item["input"] = typed_input(model_named(model, self._models), pairs, self._folder)
        return item


def _cells(headings: Sequence[str], row: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the headings and the texts of the cells that are not empty."""
    for name, text in zip_longest(headings, row, fillvalue=""):
        if text and not name and text.strip():
            raise wrong("it has more cells than there are headings")
        if text and name:
            yield name, text


def _own(name: str, text: str) -> Any:
    if name == "callback":
        return {"url": text}
    if name in _NUMBERS and text.lstrip("-").isdecimal():
        return int(text)
    return text


def _model_of(holder: Mapping[str, Any], otherwise: str) -> str:
    if isinstance(holder.get("model"), str):
        return str(holder["model"])
    raise wrong(otherwise)


def _caught(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except CommandFailed as failed:
        return failed


def _digest_of(value: object) -> str:
    content = value.read_bytes() if isinstance(value, Path) else bytes(value)  # type: ignore[call-overload]  # a file's bytes
    return hashlib.sha256(content).hexdigest()
