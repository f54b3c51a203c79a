"""Every error that winback raises on purpose.

``WinbackError`` is what the command line turns into one sentence on stderr. Messages carry ids
and places, never an address, a number, a code or a body.

    WinbackError
    ├── ConfigError            bad or missing setting; exit 2
    │   └── FileMistakes       all mistakes of the files that people edit, at once
    ├── SourceError            input cannot be read; carries source, row and column
    ├── ToldDiscreetly         another error without its values, for Prefect
    ├── TemplateError          a template cannot be compiled or rendered
    ├── IllegalTransition      machine, state, event, id: a bug
    ├── ProviderError          carries provider, status, provider message id
    │   ├── ProviderConfigError   credentials, sender not verified
    │   └── CallbackRejected      signature or shape of a webhook; answered 403
    └── SchemaError            the database is of another version or mode; exit 2
"""

from dataclasses import dataclass

from winback.logs import redact


class WinbackError(Exception):
    """Base of all: its text is one clear sentence for the person at the terminal."""

    exit_code = 1

    @property
    def discreet(self) -> str:
        """The sentence as it may be kept elsewhere: without values of rows, keys or people."""
        return redact(str(self))


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

    @property
    def discreet(self) -> str:
        """Where the mistakes are; what stands there may be a key."""
        places = ", ".join(f"{one.file}:{one.line}" for one in self.mistakes)
        return f"mistakes in {places}; winback check tells them"


class SourceError(WinbackError):
    """A source cannot be read; nothing of the file or query concerned was taken.

    Its text may show a value, so that the person at the terminal finds it in the file;
    ``discreet`` is the same without it, wherever the text shows one.
    """

    exit_code = 2

    def __init__(self, text: str, *, discreet: str = "") -> None:
        super().__init__(text)
        self._discreet = discreet

    @property
    def discreet(self) -> str:
        """Source, file, line and column, never a value."""
        return redact(self._discreet or str(self))


class ToldDiscreetly(WinbackError):
    """What stands for another error where its text would be kept by somebody else."""


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


def tell_discreetly(error: Exception) -> ToldDiscreetly:
    """Give what may be told of an error elsewhere: of one not ours only its kind and place."""
    if isinstance(error, ToldDiscreetly):
        return error
    if isinstance(error, WinbackError):
        return ToldDiscreetly(error.discreet)
    # What a driver or library says may hold a row.
    at, place = error.__traceback__, ""
    while at is not None:
        code = at.tb_frame.f_code
        if at.tb_frame.f_globals.get("__name__", "").startswith("winback."):
            place = f" in {at.tb_frame.f_globals['__name__']}, line {at.tb_lineno} ({code.co_name})"
        at = at.tb_next
    return ToldDiscreetly(f"{type(error).__name__}{place}")
