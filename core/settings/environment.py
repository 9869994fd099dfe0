"""The environment as a source of the settings, and what is wrong with it in words."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from core.settings.field_types import WORKER, is_confidential, meaning, only_reader
from core.settings.variables import is_injected
from core.text_values import ManyProblems, file_text, in_quotes

#: Bytes of a secret's file; a file that holds more was named by mistake.
_LONGEST_SECRET: Final = 65_536


class Environment(EnvSettingsSource):
    """The variables that one process reads.

    A text that cannot be had is an exception in its place: validation raises it, and goes on.

    Args:
        settings_cls: The settings.
        environ: The environment.
        process: For whom.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], environ: Mapping[str, str], process: str
    ) -> None:
        super().__init__(settings_cls)
        texts = {name: environ[name].strip() for name in environ if not is_injected(name, environ)}
        self.env_vars = {name: text for name, text in texts.items() if text}
        self._process = process

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a variable's text, or why it cannot be had."""
        text, name, is_complex = super().get_field_value(field, field_name)
        try:
            if is_confidential(field):
                text = self.secret(name)
            return _unquoted(text), name, is_complex
        except ValueError as error:
            return error, name, is_complex

    def __call__(self) -> dict[str, Any]:
        """Return all texts, None for what the other process reads, and the way to more secrets."""
        fields = self.settings_cls.model_fields.values()
        others = [one for one in fields if only_reader(one) not in (None, self._process)]
        found = super().__call__() | {str(one.validation_alias): None for one in others}
        return found | {"account_keys": self.secret if self._process == WORKER else None}

    def secret(self, name: str) -> str | None:
        """Return a secret from its variable or from the file that `NAME_FILE` names.

        Raises:
            ValueError: There are both, or the file is of no use.
        """
        text, path = self.env_vars.get(name), self.env_vars.get(f"{name}_FILE")
        if text and path:
            raise ValueError(f"is set twice, as {name} and as {name}_FILE")
        if not path:
            return _unquoted(text)
        try:
            return _unquoted(file_text(path, _LONGEST_SECRET).strip()) or None
        except OSError as error:
            raise ValueError(f"{name}_FILE: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{name}_FILE: is not a text file") from None


def _unquoted(text: str | None) -> str | None:
    """Return a text as it is.

    Raises:
        ValueError: It is in quotes, which a shell takes off and a file of variables may not.
    """
    if text and in_quotes(text):
        raise ValueError("is in quotes, which count as part of the value; leave them out")
    return text


def problems_of(error: ValidationError, settings_cls: type[BaseSettings]) -> list[str]:
    """Return what is wrong, a line each: the variable, what is allowed, and what it is for."""
    fields = settings_cls.model_fields
    # A default that goes badly with another setting is told of by the field's name.
    known = fields | {str(field.validation_alias): field for field in fields.values()}
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        field = known[str(detail["loc"][0])]
        name = str(field.validation_alias)
        cause = detail.get("ctx", {}).get("error", "is not set")
        if isinstance(cause, ManyProblems):
            # Of a field that is no variable, each line names its own.
            start = f"{name}: " if name.isupper() else ""
            end = f" ({meaning(field)})" if start and len(cause.problems) == 1 else ""
            found += [f"{start}{problem}{end}" for problem in cause.problems]
        else:
            found.append(f"{name}: {cause} ({meaning(field)})")
    return found
