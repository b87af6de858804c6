"""The errors that reach a person.

Each carries one sentence (what was expected, what came, where, what to do) and the exit code of the process that
stops on it; the command line prints the sentence and no traceback.
"""


class MeterhouseError(Exception):
    """Stops a command. `str(error)` is the sentence for the user."""

    exit_code = 1


class SettingsError(MeterhouseError):
    """A setting is wrong or missing; nothing was started."""

    exit_code = 2


class WorkAbandonedError(MeterhouseError):
    """The process had to stop before its work was safe; what was left is named, and is taken up by the next start."""

    exit_code = 3


def tell(error: MeterhouseError) -> None:
    """The sentence on stderr."""
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]error:[/]", escape(str(error)))
