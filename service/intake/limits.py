"""Limits of a body besides model parameters; shared by checks and API pages."""

from typing import Final

HIGHEST_PRIORITY: Final = 100
LARGEST_METADATA: Final = 4096  # bytes as JSON
LONGEST_KEY: Final = 900  # bytes; S3 allows 1024, and the manifest suffix is appended
LONGEST_IDEMPOTENCY_KEY: Final = 255  # characters
#: Visible ASCII characters with spaces in between: safe in any header.
IDEMPOTENCY_KEY_PATTERN: Final = "[!-~](?:[ -~]{0,253}[!-~])?"
#: Seconds from now to a deadline that a job asks for.
SHORTEST_DEADLINE: Final = 5
LONGEST_DEADLINE: Final = 604_800
#: The same as the text of a header.
DEADLINE_PATTERN: Final = (
    "(?:[5-9]|[1-9][0-9]{1,4}|[1-5][0-9]{5}|60[0-3][0-9]{3}|604[0-7][0-9]{2}|604800)"
)
LONGEST_URL: Final = 2083  # characters
#: Syntax of an aspect ratio; its range is `core.provider.catalogue.WIDEST_RATIO`.
RATIO_PATTERN: Final = "[0-9]{1,5}:[0-9]{1,5}"
#: Name under which a file is saved.
LONGEST_FILE_NAME: Final = 200  # characters
FILE_NAME_PATTERN: Final = r"(?!\.{1,2}$)[^\x00-\x1f\x7f/\\]+"
