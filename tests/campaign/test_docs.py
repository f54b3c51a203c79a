"""The pages for the marketer and the owner name every key there is."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from winback.campaign.conditions import FIELDS
from winback.campaign.facts import Facts
from winback.campaign.schema import Campaign
from winback.settings import Settings
from winback.sources.config import SourcesFile

ROOT = Path(__file__).parents[2]


def keys_of(model: type[BaseModel]) -> set[str]:
    """Give every key of a model and of the models inside it."""
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        waiting = [field.annotation]
        while waiting:
            annotation = waiting.pop()
            waiting += get_args(annotation)
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                keys |= keys_of(annotation)
    return keys


def words_of(page: str) -> set[str]:
    """Give all that a page sets in code: names, and what stands in its examples."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    set_in_code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"(?m)^    (.+)$", text)
    return {word for code in set_in_code for word in re.findall(r"[A-Za-z_]+", code)}


def test_every_key_of_a_campaign_file_is_explained() -> None:
    """A key that is not on the page does not exist for the marketer."""
    assert keys_of(Campaign) - words_of("campaign-file.md") == set()


def test_every_field_of_conditions_is_explained() -> None:
    """With the very words that the code has for it."""
    page = (ROOT / "docs" / "campaign-file.md").read_text(encoding="utf-8")

    assert [name for name, means in FIELDS.items() if f"| `{name}` | {means} |" not in page] == []


@pytest.mark.parametrize("model", [Settings, SourcesFile, Facts])
def test_every_setting_is_explained(model: type[BaseModel]) -> None:
    """Each key of the other three files; weekdays are explained by example."""
    weekdays = {"wed", "thu", "fri", "sat", "sun"}

    assert keys_of(model) - weekdays - words_of("settings.md") == set()


def test_every_environment_variable_is_explained() -> None:
    """What the code reads from the environment stands on the page."""
    code = (ROOT / "src" / "winback" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:WINBACK|SENDGRID|TWILIO|PREFECT)_[A-Z_]+)"', code))

    assert read - words_of("settings.md") == set()
