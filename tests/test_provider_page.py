"""The page on the provider's endpoints says what the catalogue holds."""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final

from core.provider.catalogue import MODELS, Media, Model, Parameter
from service.intake.model_parameters import allowed_value
from tests.doc_pages import page

PAGE: Final = Path(__file__).parents[1] / "docs" / "provider.md"
BEGIN: Final = "<!-- models: begin -->\n"
END: Final = "<!-- models: end -->\n"


def models_part() -> str:
    """Return the part of the page that is made from the catalogue; equal models share a section."""
    alike: dict[str, list[str]] = {}
    for model in MODELS.values():
        alike.setdefault(_facts(model), []).append(model.name)
    sections = (
        f"### {', '.join(f'`{name}`' for name in names)}\n\n{facts}"
        for facts, names in alike.items()
    )
    return "\n" + "\n".join(sections) + "\n"


def _facts(model: Model) -> str:
    webhook = "asked for" if model.webhook else "takes none, so its result is polled"
    cost = "told with the answer" if model.cost_on_submit else "told with the result, if at all"
    lane = f" Shares the limit of `{model.lane}`." if model.lane else ""
    most = f" At most {model.most_pixels:,} pixels." if model.most_pixels else ""
    made = " Makes an MP4 video." if model.media is Media.VIDEO else ""
    links = f" Links live {model.link_seconds:g} seconds." if model.link_seconds else ""
    active = f" At most {model.active_limit} active tasks." if model.active_limit else ""
    about = f"Source: {model.source}. Webhook: {webhook}. Cost: {cost}."
    lines = [f"{about}{most}{made}{links}{active}{lane}"]
    for variant in model.variants:
        names = " or ".join(f"`{name}`" for name in variant.names)
        lines += ["", f"With `{model.variant_field}` {names}:", *_table(variant.parameters)]
    if not model.variants:
        lines += _table(model.parameters)
    return "\n".join(lines) + "\n"


def _table(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """Yield the lines of a table; neighbours with equal bounds share one."""
    yield ""
    yield "| parameter | we accept and send | the documents disagree |"
    yield "|---|---|---|"
    for parameter, group in groupby(parameters.items(), key=lambda item: item[1]):
        names = ", ".join(f"`{name}`" for name, _ in group)
        needed = " (required)" if parameter.required else ""
        yield f"| {names}{needed} | {allowed_value(parameter)} | {parameter.disagreement} |"


def test_the_page_equals_the_catalogue() -> None:
    """Between its markers the page holds each model's parameters, ranges and sources."""
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, end, _ = rest.partition(END)

    assert begin
    assert end
    assert shown == models_part(), f"docs/provider.md must hold:\n{models_part()}"


def test_the_page_on_jobs_names_the_models_that_require_no_prompt() -> None:
    """A job of theirs without a prompt is valid, and may cost credits."""
    text = page("docs/api/jobs.md")
    (paragraph,) = re.findall(r"^\*\*Not all require a `prompt`\*\*.*$", text, re.MULTILINE)
    without = {
        name
        for name, model in MODELS.items()
        for form in model.forms
        if "prompt" not in form or not form["prompt"].required
    }
    assert {span for span in re.findall(r"`([^`]+)`", paragraph) if span in MODELS} == without
