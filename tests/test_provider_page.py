"""The page on the provider's endpoints says what the catalogue holds."""

from itertools import groupby
from pathlib import Path
from typing import Final

from core.provider.catalogue import MODELS, Model
from service.intake.model_parameters import allowed_value

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
    lines = [
        f"Source: {model.source}. Webhook: {webhook}. Cost: {cost}.{most}{lane}",
        "",
        "| parameter | we accept and send | the documents disagree |",
        "|---|---|---|",
    ]
    for parameter, group in groupby(model.parameters.items(), key=lambda item: item[1]):
        names = ", ".join(f"`{name}`" for name, _ in group)
        needed = " (required)" if parameter.required else ""
        lines.append(f"| {names}{needed} | {allowed_value(parameter)} | {parameter.disagreement} |")
    return "\n".join(lines) + "\n"


def test_the_page_equals_the_catalogue() -> None:
    """Between its markers the page holds each model's parameters, ranges and sources."""
    _, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, end, _ = rest.partition(END)

    assert begin
    assert end
    assert shown == models_part(), f"docs/provider.md must hold:\n{models_part()}"
