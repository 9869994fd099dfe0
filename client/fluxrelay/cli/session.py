"""What a command is given: the client, the settings, and where to print."""

import functools
import inspect
import os
from collections.abc import Callable
from functools import cached_property
from typing import Annotated, Any, Concatenate, ParamSpec, get_args

import typer

from fluxrelay.cli.exits import Exit, wrong
from fluxrelay.cli.output import Output
from fluxrelay.cli.settings import Setting, Settings, read_settings
from fluxrelay.client import FluxRelay

P = ParamSpec("P")

_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_Profile = Annotated[str | None, typer.Option(metavar="NAME", help="Profile of the settings file.")]
_Url = Annotated[str | None, typer.Option(metavar="URL", help="Address of the service.")]


class Session:
    """One run of a command.

    Args:
        as_json: Whether it prints JSON.
        profile: The profile that was named, if one was.
        url: The address that was named, if one was.
    """

    def __init__(self, *, as_json: bool, profile: str | None, url: str | None) -> None:
        self.out = Output(as_json=as_json)
        self._profile, self._url = profile, url

    @cached_property
    def settings(self) -> Settings:
        """The settings."""
        return read_settings(os.environ, profile=self._profile, url=self._url)

    @cached_property
    def client(self) -> FluxRelay:
        """The client, made when it is needed first."""
        settings = self.settings
        url, key = self._needed("url", settings.url), self._needed("key", settings.key)
        secret = settings.callback_secret
        return FluxRelay(url, key, callback_secret=secret.value if secret else None)

    def secrets(self) -> list[str]:
        """Return the secrets that may have signed a callback, the newest first."""
        if known := self.settings.callback_secret:
            return [known.value]
        secret = self.client.callbacks.secret()
        return [secret.secret, *secret.previous]

    def close(self) -> None:
        """End the connections."""
        if "client" in self.__dict__:
            self.client.close()

    def _needed(self, name: str, setting: Setting | None) -> str:
        if setting:
            return setting.value
        what = "address of the service" if name == "url" else "API key"
        if name == "key" and self._url:
            what = "API key for this address"
        raise wrong(f"There is no {what}: {self.settings.where(name)}.")


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Session, P], Exit | None]], Callable[..., None]]:
    """Return a decorator that makes a command of a function whose first argument is a session.

    The command has the options that all have: `--json`, `--profile` and `--url`.
    """

    def register(
        function: Callable[Concatenate[Session, P], Exit | None],
    ) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*, as_json: bool, profile: str | None, url: str | None, **arguments: Any) -> None:
            session = Session(as_json=as_json, profile=profile, url=url)
            try:
                code = function(session, **arguments)  # type: ignore[call-arg]  # typer's arguments are those of its signature
            finally:
                session.close()
            if code:
                raise typer.Exit(int(code))

        _, *own = inspect.signature(function).parameters.values()
        kind = inspect.Parameter.KEYWORD_ONLY
        common = [
            inspect.Parameter("as_json", kind, default=False, annotation=_AsJson),
            inspect.Parameter("profile", kind, default=None, annotation=_Profile),
            inspect.Parameter("url", kind, default=None, annotation=_Url),
        ]
        every = [parameter.replace(kind=kind) for parameter in own] + common
        for flag in (one.annotation for one in every if get_args(one.annotation)[:1] == (bool,)):
            flag.__metadata__[0].metavar = ""  # else the help shows <bool>, as if it took a value
        run.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # inspect reads it
        app.command(name)(run)
        return run

    return register
