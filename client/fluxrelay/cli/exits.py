"""How a command ends: its exit code, and what went wrong in one or two sentences."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1  # a job failed or was canceled, or a check did not pass
    USAGE = 2  # arguments, settings or a job's fields are wrong
    UNREACHABLE = 3  # the service does not answer, or cannot at the moment
    NOT_AUTHORIZED = 4
    TIMED_OUT = 5
    NOT_FOUND = 6
    REFUSED = 7  # what was asked for is impossible now: the job has ended, the backlog is full
    INTERRUPTED = 130
    UNREAD = 141  # as the shell has it of a program that SIGPIPE ends


class CommandFailed(Exception):
    """A command ends without having done what it was asked for.

    Args:
        code: Its exit code.
        message: What is wrong, and what to do; never a key.
        details: More lines, each a problem of its own.
    """

    def __init__(self, code: Exit, message: str, *details: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def wrong(message: str, *details: str) -> CommandFailed:
    """Return the error of a wrong argument, setting or field."""
    return CommandFailed(Exit.USAGE, message, *details)
