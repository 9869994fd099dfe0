"""Creates the AWS session; the only module that does."""

import os
from typing import Any, Final

import boto3
import botocore.session
from botocore.loaders import JSONFileLoader, Loader


class _ModelFiles(JSONFileLoader):
    """Reads each of the SDK's model files once per process, and not once per session.

    S3's alone takes longer to parse than the rest of a client takes to build.
    """

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}

    def load_file(self, file_path: str) -> Any:
        """Return what is in a file, which the SDK does not change; None if there is none."""
        if file_path not in self._read:
            content = super().load_file(file_path)
            if content is None:
                return None
            self._read[file_path] = content
        return self._read[file_path]


_FILES: Final = _ModelFiles()
#: A kind of model and where they are sought -> the services that have one.
_SERVICES: Final[dict[tuple[str, ...], list[str]]] = {}


class _Models(Loader):
    """Looks through the hundreds of folders of the SDK's models once per process, too."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the names of all services that have a model of this type."""
        key = (type_name, *self.search_paths)
        if key not in _SERVICES:
            _SERVICES[key] = super().list_available_services(type_name)
        return _SERVICES[key]


def aws_session() -> boto3.Session:
    """Return a session from this process's environment.

    `AWS_REGION`, which other SDKs read and boto3 does not, takes precedence over
    `AWS_DEFAULT_REGION` and the profile's region. Empty `AWS_` variables are removed: botocore
    reads them in many places and treats some empty ones as values. Whitespace around a value, such
    as the newline at the end of a file, is stripped.

    Raises:
        botocore.exceptions.BotoCoreError: The environment refers to something missing, such as an
            unknown profile.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        value = os.environ.pop(name).strip()
        if value:
            os.environ[name] = value
    session = botocore.session.get_session()
    paths = session.get_component("data_loader").search_paths
    models = _Models(paths, file_loader=_FILES, include_default_search_paths=False)
    session.register_component("data_loader", models)
    return boto3.Session(botocore_session=session, region_name=os.environ.get("AWS_REGION"))
