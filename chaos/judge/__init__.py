"""From evidence to the verdict, and how it is shown."""
