"""``config/facts.yaml``: what templates may claim about the business, and who says so."""

from datetime import date
from typing import Annotated, Any

from pydantic import Field

from winback.yaml_files import Strict

Words = Annotated[str, Field(min_length=1)]


class Claim(Strict):
    """Something we say of ourselves, by whom it is vouched for, and since when it is so."""

    says: Words
    by: Words
    since: date


class KeptPromise(Strict):
    """Something that was wrong and is put right: what "we changed" may speak of."""

    was: Words
    now: Words
    closed: date
    by: Words


class Facts(Strict):
    """All facts of one business; a business without the file claims nothing."""

    benefits: dict[str, Claim] = Field(default_factory=dict)
    guarantees: dict[str, Claim] = Field(default_factory=dict)
    hours: str | None = None
    fixed: dict[str, KeptPromise] = Field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Give plain data for templates; dates are ISO strings."""
        return self.model_dump(mode="json")
