"""Load ``config/campaigns/*.yaml`` and ``config/facts.yaml``; every mistake is told at once."""

from pathlib import Path
from typing import Any

from winback.campaign.facts import Facts
from winback.campaign.references import problems
from winback.campaign.schema import Campaign
from winback.errors import FileMistakes, Mistake
from winback.yaml_files import Place, check_values, line_of, load_file, read_repeating

__all__ = ["Facts", "load_campaign", "load_campaigns", "load_facts", "read_campaigns"]


def load_campaigns(home: Path) -> tuple[Campaign, ...]:
    """Load every campaign of ``config/campaigns``, who goes first when a cap is reached first.

    Raises FileMistakes with the mistakes of all files.
    """
    campaigns, mistakes = read_campaigns(home)
    if mistakes:
        raise FileMistakes(mistakes)
    return campaigns


def read_campaigns(home: Path) -> tuple[tuple[Campaign, ...], list[Mistake]]:
    """Give the campaigns whose files are right, as ``load_campaigns`` does, and all mistakes."""
    mistakes: list[Mistake] = []
    loaded: dict[str, Campaign] = {}
    paths = sorted((home / "config" / "campaigns").glob("*.yaml"))
    for path in paths:
        shown_as = f"config/campaigns/{path.name}"
        try:
            campaign = load_campaign(path, shown_as=shown_as)
        except FileMistakes as found:
            mistakes += found.mistakes
            continue
        if campaign.campaign in loaded:
            what = f"another file describes the campaign {campaign.campaign!r} too"
            mistakes.append(Mistake(shown_as, 1, what, "give it another name under campaign"))
        loaded[campaign.campaign] = campaign
    if not paths:
        mistakes.append(
            Mistake("config/campaigns", 1, "there is no campaign", "add one: six-month.yaml")
        )
    ordered = sorted(loaded.values(), key=lambda one: (one.priority, one.campaign))
    return tuple(ordered), mistakes


def load_campaign(path: Path, *, shown_as: str) -> Campaign:
    """Load one campaign file; raises FileMistakes with all its mistakes."""
    written, lines, repeated = read_repeating(path, shown_as)
    try:
        campaign = read_campaign(written, lines, shown_as=shown_as)
    except FileMistakes as found:
        raise FileMistakes(found.mistakes + repeated) from None
    if repeated:
        raise FileMistakes(repeated)
    return campaign


def read_campaign(written: Any, lines: dict[Place, int], *, shown_as: str) -> Campaign:
    """Check the values of one campaign file; raises FileMistakes with all its mistakes."""
    mistakes = [
        Mistake(shown_as, line_of(lines, problem.place), problem.what, problem.instead)
        for problem in problems(written)
    ]
    try:
        campaign = check_values(written, lines, Campaign, shown_as=shown_as)
    except FileMistakes as found:
        raise FileMistakes(found.mistakes + mistakes) from None
    if mistakes:
        raise FileMistakes(mistakes)
    return campaign


def load_facts(home: Path) -> Facts:
    """Load ``config/facts.yaml``; without the file nothing is claimed. Raises FileMistakes."""
    path = home / "config" / "facts.yaml"
    if not path.exists():
        return Facts()
    return load_file(path, Facts, shown_as="config/facts.yaml")


def plain_campaign(campaign: Campaign) -> dict[str, Any]:
    """Give a campaign as plain JSON that loads to an equal one."""
    return campaign.model_dump(mode="json", exclude_none=True)
