"""A small business with files, for the tests of this room."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from winback.database.tables import RejectedRow, Table
from winback.settings import BusinessSettings, EmailSender, SenderSettings, Settings
from winback.sources.config import load_sources
from winback.sources.pulling import Progress, PullCounts, pull_sources
from winback.states import Mode

SECRET = "a secret of the tests"
CUSTOMERS = {
    "path": "customers.csv",
    "columns": {
        "external_id": "id",
        "given_name": "first",
        "email": "email",
        "phone": "phone",
        "email_consent": "news",
        "sms_consent": "texts",
    },
}
PURCHASES = {
    "path": "orders*.csv",
    "columns": {
        "external_id": "no",
        "customer": "customer",
        "purchased_at": "date",
        "amount": "total",
    },
}


def settings(mode: Mode = Mode.SANDBOX, currency: str = "GBP") -> Settings:
    """Give the settings of a business in London."""
    return Settings(
        business=BusinessSettings(
            name="Olive & Oak",
            postal_address="12 Mill Lane, Bristol",
            country="GB",
            time_zone="Europe/London",
            currency=currency,
        ),
        sender=SenderSettings(email=EmailSender(name="Anna", address="anna@example.com")),
        mode=mode,
    )


@dataclass
class Shop:
    """A home folder with sources, and the database that they are pulled into."""

    home: Path
    engine: Engine
    now: datetime
    settings: Settings = field(default_factory=settings)
    environ: Mapping[str, str] = field(default_factory=dict)

    def configure(self, **sources: dict[str, Any]) -> None:
        """Write ``config/sources.yaml``."""
        folder = self.home / "config"
        folder.mkdir(exist_ok=True)
        text = json.dumps({"sources": sources}, indent=2)  # JSON is YAML
        (folder / "sources.yaml").write_text(text, encoding="utf-8")

    def write(self, name: str, *lines: str, end: str = "\n") -> Path:
        """Write a file of lines."""
        path = self.home / name
        path.write_text("\n".join(lines) + end, encoding="utf-8")
        return path

    def append(self, name: str, *lines: str) -> None:
        """Let a file grow."""
        with (self.home / name).open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def pull(
        self,
        only: str | None = None,
        now: datetime | None = None,
        progress: Progress | None = None,
    ) -> PullCounts:
        """Pull all sources."""
        return pull_sources(
            self.engine,
            load_sources(self.home, self.environ),
            settings=self.settings,
            secret=SECRET,
            home=self.home,
            now=now or self.now,
            only=only,
            progress=progress,
        )

    def all(self, table: type[Table], *columns: str) -> Sequence[Any]:
        """Give all rows of a table in order, or some of their columns."""
        with Session(self.engine) as session:
            picked = [getattr(table, name) for name in columns] or [table]
            rows = session.execute(select(*picked).order_by(table.__table__.c.id)).all()
            session.expunge_all()
            return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def reasons(self) -> list[tuple[str, str]]:
        """Give place and reason of every rejected row."""
        return [tuple(row) for row in self.all(RejectedRow, "place", "reason")]
