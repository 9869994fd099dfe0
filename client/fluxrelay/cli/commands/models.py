"""`fluxrelay models`: the models of the deployment, and the parameters of one."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fluxrelay.cli.session import Session, command
from fluxrelay.cli.values import model_named, parameters_of


def models(
    session: Session,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Show the parameters of this one.")
    ] = None,
) -> None:
    """List the models, or the parameters of one."""
    known = [one.raw for one in session.client.models.list()]
    out = session.out
    if model is None:
        if out.as_json:
            out.document({"models": known})
        rows = [(one["name"], one["media"], ", ".join(parameters_of(one))) for one in known]
        out.rows(("model", "makes", "parameters"), rows, title="model")
        return
    view = model_named(model, known)
    if out.as_json:
        out.document(view)
    bounds = [
        (name, one["kind"], _required(view, name, one), _bounds(one))
        for name, one in parameters_of(view).items()
    ]
    out.rows(("parameter", "kind", "required", "allowed"), bounds, title="parameter")


def _required(model: Mapping[str, Any], name: str, parameter: Mapping[str, Any]) -> str:
    """Return whether a parameter is required; where variants differ, those that take it."""
    takers = [one for one in model["variants"] if name in one["parameters"]]
    if not takers or (len(takers) == len(model["variants"]) and not parameter["required"]):
        return "yes" if parameter["required"] else "no"
    needed = [one["names"][0] for one in takers if one["parameters"][name]["required"]]
    if needed:
        return ", ".join(needed)
    return "no (" + ", ".join(one["names"][0] for one in takers) + ")"


def _bounds(parameter: Mapping[str, Any]) -> str:
    parts = []
    low, high = parameter.get("minimum"), parameter.get("maximum")
    if low is not None and high is not None:
        parts.append(f"{low} to {high}")
    elif low is not None or high is not None:
        parts.append(f"at least {low}" if high is None else f"at most {high}")
    if step := parameter.get("multiple_of"):
        parts.append(f"multiples of {step}")
    parts += [str(choice) for choice in parameter.get("choices", ())]
    if word := parameter.get("word"):
        parts.append(f"or {word}")
    if longest := parameter.get("longest"):
        parts.append(f"at most {longest} characters")
    if most := parameter.get("most"):
        parts.append(f"at most {most} files")
    if parameter.get("urls") is False:
        parts.append("no URL")
    return ", ".join(parts)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "models")(models)
