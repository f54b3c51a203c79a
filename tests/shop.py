"""A small shop on disk, for tests that use winback as a person does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent

SOURCES = """\
sources:
  till:
    kind: files
    customers:
      path: data/customers.csv
      columns: {external_id: id, given_name: first, family_name: last, email: email, phone: phone,
                email_consent: news, sms_consent: texts}
    purchases:
      path: data/orders.csv
      columns: {external_id: order_no, customer: customer_id, purchased_at: date, amount: total}
"""


def make_shop(
    home: Path, *, customers: int, lapsed_on: date, database_url: str | None = None
) -> Path:
    """Write a home folder whose customers all bought last six months before ``lapsed_on``."""
    home.mkdir(parents=True, exist_ok=True)
    for folder in ("config", "templates", "flows"):
        shutil.copytree(REPOSITORY / folder, home / folder)
    shutil.copy(REPOSITORY / "prefect.yaml", home)
    (home / "config" / "sources.yaml").write_text(SOURCES, encoding="utf-8")
    (home / "data").mkdir()
    bought = lapsed_on - timedelta(days=190)
    people = ["id,first,last,email,phone,news,texts"]
    orders = ["order_no,customer_id,date,total"]
    for number in range(customers):
        people.append(
            f"{number},Ann,Oakley,ann.oakley.{number}@example.com,+1202555{number:04d},yes,yes"
        )
        orders.append(f"{number},{number},{bought},40.00")
    (home / "data" / "customers.csv").write_text("\n".join(people) + "\n", encoding="utf-8")
    (home / "data" / "orders.csv").write_text("\n".join(orders) + "\n", encoding="utf-8")
    if database_url is not None:
        (home / ".database_url").write_text(database_url, encoding="utf-8")
    return home


def winback(
    home: Path, *words: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a home folder, as a person would; the environment is otherwise bare."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    url = home / ".database_url"
    if url.exists():
        kept["WINBACK_DATABASE_URL"] = url.read_text(encoding="utf-8")
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "winback", *words],
        cwd=home,
        env={**kept, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
