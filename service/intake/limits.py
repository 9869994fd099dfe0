"""What a body may hold beside a model's parameters; checks and API pages use the same numbers."""

from typing import Final

HIGHEST_PRIORITY: Final = 100
LARGEST_METADATA: Final = 4096  # bytes as JSON
LONGEST_KEY: Final = 900  # bytes; S3 allows 1024, and the manifest's ending is added
LONGEST_IDEMPOTENCY_KEY: Final = 255  # characters
#: Visible ASCII characters, and spaces between them: what a header holds wherever it passes.
IDEMPOTENCY_KEY_PATTERN: Final = "[!-~](?:[ -~]{0,253}[!-~])?"
LONGEST_URL: Final = 2083  # characters
#: An aspect ratio's form; its range is `core.provider.catalogue.WIDEST_RATIO`.
RATIO_PATTERN: Final = "[0-9]{1,5}:[0-9]{1,5}"
