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

_OWN_COLUMNS: Final = ("custom_id", "model", "priority", "region", "callback", "deadline")
_NUMBERS: Final = ("priority", "deadline")

Model = Mapping[str, Any]


@dataclass(frozen=True)
class BatchFile:
    """What a file asks for.

    Attributes:
        items: The items; files among their inputs are paths.
        options: `defaults` and the other options of the file's first line, if it has such a line.
    """

    items: list[dict[str, Any]]
    options: dict[str, Any]

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
    path: str, models: Sequence[Model], model: str | None, params: Sequence[str]
) -> BatchFile:
    """Return what a file asks for.

    Args:
        path: The file; its name ends in `.csv`, or it is NDJSON; `-`: NDJSON of standard input.
        models: The models, as `GET /v1/models` shows them.
        model: The model of all items that name none.
        params: Parameters of all items that do not have them, as `name=value`.

    Raises:
        CommandFailed: The file cannot be read, or a line of it is wrong; each is named.
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
    items = list(_each(rows))
    if not items:
        raise wrong(f"{path} holds no items.")
    if params:
        view = model_named(_model_of(defaults, "--param needs --model"), models)
        given = typed_input(view, [pair(one, "--param") for one in params])
        defaults["input"] = {**defaults.get("input", {}), **given}
    if defaults:
        options["defaults"] = defaults
    return BatchFile(items, options)


def _each(rows: Iterator[tuple[int, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the items; complain of all lines together."""
    problems = []
    for number, row in rows:
        if isinstance(row, CommandFailed):
            problems.append(f"line {number}: {row.message}")
        else:
            yield row
    if problems:
        count = "a line is" if len(problems) == 1 else f"{len(problems)} lines are"
        raise wrong(f"Nothing was sent: {count} wrong.", *problems[:20])


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
        csv.field_size_limit(max(len(text), 1))  # a file as base64 is longer than the usual limit
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            headings = [name.strip() for name in next(rows, [])]
            # A spreadsheet leaves rows of empty cells, which are no items.
            filled = (row for row in rows if any(map(str.strip, row)))
            for count, row in enumerate(filled, 1):
                yield rows.line_num, _caught(self._row, headings, row, str(count))
        except csv.Error as error:
            yield rows.line_num, wrong(f"it is not CSV: {error}")

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
