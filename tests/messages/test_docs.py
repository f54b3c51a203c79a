"""What marketers can write is what the docs say, and what the playbook names is there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from winback.campaign.loading import load_campaigns
from winback.messages.compiling import FRONT_KEYS
from winback.messages.language import environment
from winback.messages.mjml_words import PARENTS
from winback.messages.sample import sample_context, sample_voucher

from .kit import ROOT, plain

TEMPLATES = (ROOT / "docs/templates.md").read_text(encoding="utf-8")
PLAYBOOK = (ROOT / "docs/playbook.md").read_text(encoding="utf-8")


def _names(context: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in context.items():
        if before in ("facts.benefits.", "facts.guarantees.", "facts.fixed."):
            yield from (f"{before}KEY.{part}" for part in value)
        elif isinstance(value, Mapping):
            yield from _names(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def test_every_variable_is_documented() -> None:
    """Each template variable stands in the docs, or the build fails; ``.part`` continues a name."""
    written = set(re.findall(r"`([\w.]+)`", TEMPLATES))
    for cell in re.findall(r"^\| (`[^|]+) \|", TEMPLATES, re.MULTILINE):
        first, *more = re.findall(r"`([\w.]+)`", cell)
        written |= {first.rpartition(".")[0] + one for one in more if one.startswith(".")}

    missing = set(_names(sample_context(plain(), voucher=sample_voucher()))) - written

    assert missing == set()


def test_every_filter_and_key_is_documented() -> None:
    """Filters, keys of the front matter and elements of a column are told."""
    written = set(re.findall(r"`([\w-]+)`", TEMPLATES))
    columns = {name for name, parents in PARENTS.items() if "mj-column" in parents}

    assert set(environment(autoescape=False).filters) - written == set()
    assert set(FRONT_KEYS) - written == set()
    assert columns - written == set()


def test_the_playbook_names_what_is_there() -> None:
    """A rule whose test or template is gone is a rule no more."""
    paths = set(re.findall(r"`((?:tests|templates|config)/[\w./-]+)`", PLAYBOOK))
    (campaign,) = load_campaigns(ROOT)

    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    for name in campaign.message_names():
        template = campaign.message(name).template
        assert f"`{name}`" in PLAYBOOK or f"{template}.mjml" in PLAYBOOK or name == "hours"
