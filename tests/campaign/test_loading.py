"""The campaign file: every mistake at once, each with its line."""

from decimal import Decimal
from pathlib import Path

import pytest

from winback.campaign.actions import ActionKind
from winback.campaign.loading import load_campaigns, load_facts, plain_campaign
from winback.campaign.schema import Campaign
from winback.errors import FileMistakes, Mistake
from winback.periods import Period
from winback.states import Channel, Reason

HERE = Path(__file__).parents[2]

GOOD = """\
campaign: spring
steps:
  - {step: hello, wait: 0 days, channel: email, template: hello}
  - {step: gift, wait: 5 days, channel: email, template: gift, offer: jar}
  - {step: nudge, before_expiry: 4 days, channel: sms, template: nudge, otherwise: email}
offers:
  jar: {gift: a jar, cost: 3, valid_for: 21 days}
"""


def home_with(tmp_path: Path, *texts: str) -> Path:
    """Give a home folder with these campaign files."""
    folder = tmp_path / "config" / "campaigns"
    folder.mkdir(parents=True)
    for index, text in enumerate(texts):
        (folder / f"c{index}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def mistakes_in(tmp_path: Path, *texts: str) -> list[Mistake]:
    """Give the mistakes of these campaign files."""
    with pytest.raises(FileMistakes) as found:
        load_campaigns(home_with(tmp_path, *texts))
    return found.value.mistakes


def edited(before: str, after: str) -> str:
    """Give the good file with one edit."""
    assert before in GOOD
    return GOOD.replace(before, after, 1)


def test_the_shipped_campaign_is_the_one_of_the_design() -> None:
    """Exactly one file, as DESIGN.md section 7 writes it."""
    (campaign,) = load_campaigns(HERE)

    assert campaign.campaign == "six-month"
    assert campaign.lapse.after == Period(months=6)
    assert campaign.lapse.rhythm == "off"
    assert campaign.holdout == Decimal("0.15")
    assert campaign.message_names() == (
        *("concern", "check-in", "voucher", "reminder", "comeback", "call", "farewell"),
        *("purchase", "service", "another", "hours", "moved"),
    )
    assert campaign.step("check-in").otherwise is Channel.EMAIL
    assert campaign.responses[Reason.PRICE].step == "voucher"
    action = campaign.answers["service"].then
    assert action is not None
    assert action.kind is ActionKind.HAND_OVER


def test_steps_are_found_by_name_and_order() -> None:
    """A name is a place on the timeline; an answer has none."""
    (campaign,) = load_campaigns(HERE)

    assert campaign.position("voucher") == 2
    assert campaign.step("voucher") is campaign.steps[2]
    assert campaign.message("moved").template == "goodbye"
    with pytest.raises(KeyError):
        campaign.step("purchase")


def test_a_campaign_is_stored_and_loaded_back_equal() -> None:
    """Kept versions are plain JSON and mean the same."""
    (campaign,) = load_campaigns(HERE)

    assert Campaign.model_validate(plain_campaign(campaign)) == campaign


def test_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    """A short file is a whole campaign."""
    (campaign,) = load_campaigns(home_with(tmp_path, GOOD))

    assert campaign.step("hello").fresh_for == Period(days=7)
    assert (campaign.rest, campaign.cooldown) == (Period(days=14), Period(months=12))


def test_a_campaign_without_holdout_and_cooldown_is_allowed(tmp_path: Path) -> None:
    """0 months and 0% are possible values; bare off and empty parts are read as meant."""
    text = GOOD + (
        "holdout: 0%\ncooldown: 0 months\nrest: 0 days\nlapse: {after: 30 days, rhythm: off}\n"
        "answers:\nresponses:\n"
    )
    (campaign,) = load_campaigns(home_with(tmp_path, text))

    assert campaign.holdout == 0
    assert campaign.cooldown.is_nothing
    assert (campaign.answers, campaign.lapse.rhythm) == ({}, "off")


def test_campaigns_stand_in_the_order_of_their_priority(tmp_path: Path) -> None:
    """Who goes first when a cap is reached comes first."""
    texts = [
        f"priority: {p}\n" + GOOD.replace("spring", n) for p, n in ((2, "b"), (1, "c"), (2, "a"))
    ]

    loaded = load_campaigns(home_with(tmp_path, *texts))

    assert [campaign.campaign for campaign in loaded] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "line", "what", "instead"),
    [
        (edited("template: hello", "templat: hello"), 3, "unknown key 'templat'", "template?"),
        (edited("channel: sms", "channel: fax"), 5, "'fax' is not known", "use one of"),
        (edited("wait: 0 days", "wait: 5 dayz"), 3, "'5 dayz' is no period", "14 days"),
        (edited("wait: 0 days, ", ""), 3, "exactly one of wait and before_expiry", "wait: 5 days"),
        (edited("wait: 5 days", "wait: 5 days, before_expiry: 1 day"), 4, "exactly one", "wait"),
        (edited("wait: 0 days", "before_expiry: 4 days"), 3, "the first step has no", "wait: 0"),
        (edited("template: hello", "template: hello, offer: jar"), 3, "first touch", "later step"),
        (edited("offer: jar", "offer: jam"), 4, "there is no offer 'jam'", "did you mean jar?"),
        (edited(", offer: jar", ""), 5, "no earlier step carries an offer", "give an earlier"),
        (edited(", offer: jar", ""), 7, "given by no step and no answer", "offer: jar"),
        (edited("4 days", "21 days"), 5, "valid for less time", "fewer days"),
        (edited("otherwise: email", "otherwise: sms"), 5, "the same as channel", "write email"),
        (edited("otherwise: email", "otherwise: call"), 5, "cannot be 'call'", "write email"),
        (edited("otherwise: email", "otherwise: letter"), 5, "cannot be 'letter'", "write email"),
        (edited("channel: sms", "channel: call"), 5, "cannot be 'email'", "write letter"),
        (edited("channel: sms", "channel: letter"), 5, "falls to nothing", "remove otherwise"),
        (
            GOOD + "answers:\n  service: {template: t, channel: call}\n",
            9,
            "no answer goes by call",
            "hand over",
        ),
        (edited("step: nudge", "step: gift"), 5, "stands here twice", "rename one"),
        (
            edited("step: nudge", "step: purchase") + "answers:\n  purchase: {template: t}\n",
            5,
            "a step and an answer",
            "rename",
        ),
        (
            GOOD + "answers:\n  sevice: {template: t}\n",
            9,
            "nothing to answer",
            "did you mean service?",
        ),
        (
            GOOD + "answers:\n  price: {template: t, then: go to gft}\n",
            9,
            "no step 'gft'",
            "did you mean gift?",
        ),
        (
            GOOD + "responses:\n  price: go to vouchr\n",
            9,
            "there is no step 'vouchr'",
            "use one of",
        ),
        (GOOD + "responses:\n  price: go to hello\n", 9, "only forward", "later step"),
        (GOOD + "responses:\n  price: forget\n", 9, "'forget' is no action", "write continue"),
        (
            GOOD + "responses:\n  prise: continue\n",
            9,
            "'prise' is not known",
            "did you mean price?",
        ),
        (
            GOOD + "responses:\n  unsubscribe: continue\n",
            9,
            "what a no does cannot be changed",
            "remove",
        ),
        (GOOD + "responses:\n  no: continue\n", 9, "what a no does cannot be changed", "remove"),
        (GOOD + "audience: {where: purchase > 1}\n", 8, "'purchase' is no field", "purchases?"),
        (edited("cost: 3", "percent: 3"), 7, "exactly one thing", "keep one of"),
        (edited("cost: 3", "codes: 2.5"), 7, "valid integer", "2.5"),
        (GOOD + "holdout: 100%\n", 8, "less than 1", "found"),
        (
            GOOD + "lapse: {after: 6 months, not_after: 3 months}\n",
            8,
            "nobody would ever",
            "longer",
        ),
        (GOOD + "lapse: {after: 0 days}\n", 8, "no time at all", "1 day or more"),
        (GOOD + "measure_for: 0 days\n", 8, "no time at all", "1 day or more"),
        (GOOD + "lapse: {rhythm: own}\n", 8, "'own' is not known", "off"),
        (edited("template: hello", "template: ../x"), 3, "is no name", "lower-case letters"),
        (edited("campaign: spring", "campaing: spring"), 1, "unknown key", "campaign?"),
        ("campaign: x\nsteps: []\n", 2, "at least 1 item", ""),
        ("- a\n- b\n", 1, "", ""),
    ],
)
def test_each_mistake_is_told_with_its_line(
    tmp_path: Path, text: str, line: int, *, what: str, instead: str
) -> None:
    """File, line, what is wrong and what to write instead."""
    found = mistakes_in(tmp_path, text)

    assert any(
        (one.file, one.line) == ("config/campaigns/c0.yaml", line)
        and what in one.what
        and instead in one.instead
        for one in found
    ), "\n".join(map(str, found))


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """A wrong key hides no wrong reference, and one file hides no other."""
    one = (
        edited("templat", "templat").replace("wait: 0 days", "wait: soon")
        + "responses: {price: go to x}\n"
    )
    two = GOOD.replace("spring", "autumn").replace("offer: jar", "offer: jam") + "holdout: half\n"

    found = {(mistake.file[-7:], mistake.line) for mistake in mistakes_in(tmp_path, one, two)}

    assert found == {
        ("c0.yaml", 3),
        ("c0.yaml", 8),
        ("c1.yaml", 4),
        ("c1.yaml", 7),
        ("c1.yaml", 8),
    } | ({("c1.yaml", 5)} & found)


def test_two_files_cannot_describe_one_campaign(tmp_path: Path) -> None:
    """The name is what enrollments remember."""
    (mistake,) = mistakes_in(tmp_path, GOOD, GOOD)

    assert "another file describes the campaign 'spring' too" in mistake.what


def test_a_home_without_campaigns_is_told(tmp_path: Path) -> None:
    """One sentence says what to add."""
    (mistake,) = mistakes_in(tmp_path)

    assert "there is no campaign" in mistake.what


def test_the_shipped_facts_are_plain_data_for_templates() -> None:
    """Dates are ISO strings; every claim names who vouches for it."""
    plain = load_facts(HERE).plain()

    assert plain["benefits"]["repair"] == {
        "says": "free repairs for life",
        "by": "Anna",
        "since": "2026-03-01",
    }
    assert plain["fixed"]["delivery"]["closed"] == "2026-05-02"
    assert plain["hours"]


def test_without_facts_nothing_is_claimed(tmp_path: Path) -> None:
    """The file may be absent; a claim without its witness may not."""
    assert load_facts(tmp_path).plain() == {
        "benefits": {},
        "guarantees": {},
        "hours": None,
        "fixed": {},
    }
    (tmp_path / "config").mkdir()
    facts = tmp_path / "config" / "facts.yaml"
    facts.write_text("benefits:\n  repair: {says: free repairs}\n", encoding="utf-8")

    with pytest.raises(FileMistakes) as found:
        load_facts(tmp_path)

    assert [(one.line, one.what) for one in found.value.mistakes] == [
        (2, "'by' is missing under benefits.repair"),
        (2, "'since' is missing under benefits.repair"),
    ]
