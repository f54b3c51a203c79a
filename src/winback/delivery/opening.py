"""Find the span in which one message may leave: the hours of its channel, where its reader is."""

from dataclasses import replace

from winback.delivery.looking import PersonView, Point
from winback.delivery.run import Run
from winback.delivery.whereabouts import find_whereabouts, hours_for_texts
from winback.delivery.windows import Opening, next_opening, week_hours
from winback.states import Channel


def keeps_hours(run: Run, channel: Channel) -> bool:
    """Say whether messages of a channel leave at decent hours only: texts always, mails if asked.

    A call or a letter is an associate's, who knows the hour.
    """
    hours = run.business.settings.policies.quiet_hours
    return channel is Channel.SMS or (channel is Channel.EMAIL and hours.email != "any")


def opening_for(run: Run, person: PersonView, channel: Channel, point: Point) -> Opening | None:
    """Give the present or next decent span for a message; None where there is none.

    A text is held to the zones of its number too, and to what the law says of texts (FACTS.md
    LAW-23, LAW-23b); a mail to those of the person alone, where unknown to the business's own.
    """
    is_text, business = channel is Channel.SMS, run.business.settings.business
    whereabouts, is_known = find_whereabouts(
        time_zone=person.time_zone,
        country=person.country,
        region=person.region,
        number=point.address if is_text else None,
        business_country=business.country,
        business_zone=business.time_zone,
    )
    written = run.business.settings.policies.quiet_hours
    hours = week_hours(written.sms if is_text else written.email)
    assert hours is not None  # noqa: S101 - only asked where hours are kept
    if is_text:
        hours = hours_for_texts(whereabouts, hours, is_known=is_known)
    elif not is_known:
        whereabouts = replace(whereabouts, zones=frozenset({business.time_zone}))
    return next_opening(run.now, whereabouts, hours)
