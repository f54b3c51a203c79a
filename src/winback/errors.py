"""Every error that winback raises on purpose.

``WinbackError`` is what the command line turns into one sentence on stderr. Messages carry ids
and places, never an address, a number, a code or a body.

    WinbackError
    ├── ConfigError            bad or missing setting; exit 2
    │   └── FileMistakes       all mistakes of the files that people edit, at once
    ├── SourceError            input cannot be read; carries source, row and column
    ├── TemplateError          a template cannot be compiled or rendered
    ├── IllegalTransition      machine, state, event, id: a bug
    ├── ProviderError          carries provider, status, provider message id
    │   ├── ProviderConfigError   credentials, sender not verified
    │   └── CallbackRejected      signature or shape of a webhook; answered 403
    └── SchemaError            the database is of another version or mode; exit 2
"""

from dataclasses import dataclass


class WinbackError(Exception):
    """Base of all: its text is one clear sentence for the person at the terminal."""

    exit_code = 1


class ConfigError(WinbackError):
    """A setting or an option is missing or wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in a file that people edit."""

    file: str
    line: int
    what: str
    instead: str = ""

    def __str__(self) -> str:
        tail = f"; {self.instead}" if self.instead else ""
        return f"{self.file}:{self.line}: {self.what}{tail}"


class FileMistakes(ConfigError):
    """All mistakes found in files that people edit."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


class SourceError(WinbackError):
    """A source cannot be read; nothing of the file or query concerned was taken."""

    exit_code = 2


class TemplateError(WinbackError):
    """A template cannot be compiled or rendered."""


class IllegalTransition(WinbackError):
    """A state machine was asked for a move that its table does not know: a bug."""

    def __init__(self, machine: str, state: str, event: str, row_id: int | None = None) -> None:
        super().__init__(
            f"{machine} {row_id if row_id is not None else ''}: no move from {state} on {event}"
        )


class ProviderError(WinbackError):
    """A provider's answer could not be understood."""


class ProviderConfigError(ProviderError):
    """Credentials are missing or refused, or a sender is not verified."""

    exit_code = 2


class CallbackRejected(ProviderError):
    """A webhook's signature or shape is wrong; the reason is never told to the caller.

    Its text is always the same; ``because`` is for the operator's log, and quotes nothing.
    """

    def __init__(self, because: str) -> None:
        super().__init__("the webhook is not signed as it should be")
        self.because = because


class SchemaError(WinbackError):
    """The database has another schema version, or belongs to another mode."""

    exit_code = 2
