"""What can still be read of campaign files and facts with mistakes."""

from pathlib import Path

import pytest

from winback.campaign.drafts import draft_campaigns, draft_facts, pools_in


def put(home: Path, file: str, text: str) -> None:
    """Write one file below the home folder."""
    path = home / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_campaigns_go_by_their_name_else_by_that_of_the_file(tmp_path: Path) -> None:
    """Templates lie in a folder of the campaign's name; the file's is the next best."""
    put(tmp_path, "config/campaigns/a.yaml", "campaign: spring\n")
    put(tmp_path, "config/campaigns/b.yaml", "campain: autumn\n")
    put(tmp_path, "config/campaigns/c.yaml", "campaign: [\n")

    assert draft_campaigns(tmp_path, ()) == {
        "spring": {"campaign": "spring"},
        "b": {"campain": "autumn"},
        "c": None,
    }


@pytest.mark.parametrize(
    ("offers", "pools"),
    [
        ({"a": {"codes_from": "pool.csv"}, "b": {"percent": 5}}, ["pool.csv"]),
        ({"a": {"codes_from": "../pool.csv"}, "b": {"codes_from": "/pool.csv"}}, []),
        ({"a": {"codes_from": 7}, "b": None}, []),
        (["a"], []),
    ],
)
def test_pools_are_looked_at_inside_the_home_folder_only(offers: object, pools: list[str]) -> None:
    """What the schema would refuse is no file to read."""
    assert list(pools_in({"spring": {"offers": offers}, "c": None})) == pools


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        # An entry with a mistake keeps its name; what its neighbors lack stays unknown.
        ("fixed: {delivery: {was: slow}}\n", {"delivery"}),
        # A misspelled section, or no YAML: the names that templates show are taken to be there.
        ("fixd: {delivery: {was: slow}}\n", {"hours"}),
        ("fixed: [\n", {"hours"}),
        # A section that is simply not there claims nothing.
        ("hours: [9, 5]\n", set()),
    ],
)
def test_facts_with_mistakes_keep_their_names(tmp_path: Path, text: str, fixed: set[str]) -> None:
    """A template is not blamed for a mistake in the facts, nor excused for its own."""
    put(tmp_path, "config/facts.yaml", text)

    facts = draft_facts(tmp_path, ["{{ facts.fixed.hours.now }}"])

    assert set(facts.fixed) == fixed
    assert facts.plain()["hours"]
