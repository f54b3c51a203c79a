"""How many new people the mails of a day allow while a mail domain warms up (DESIGN.md, section 7).

Whoever entered beyond that would only wait, and a step that waits too long is dropped.
"""

from datetime import datetime
from random import SystemRandom

from sqlalchemy.orm import Session

from winback.business import Business
from winback.delivery.daily import left_today, limit_today
from winback.delivery.run import Run
from winback.delivery.warming import mails_spoken_for, warms_up
from winback.enrollment.pausing import standing_pauses
from winback.states import Channel


def mails_for_new(session: Session, business: Business, *, now: datetime) -> int | None:
    """Give how many more people may enter today by the warm-up's number, both arms counted.

    None where nothing warms up, or the day's number has reached the daily limit: then only the
    campaigns' own limits hold. Claims wait until the caller's transaction ends, so that what is
    counted here stays true.
    """
    settings = business.settings
    if not warms_up(settings):
        return None
    run = Run(business, now, SystemRandom(), {}, salt="")
    if limit_today(session, run, Channel.EMAIL) >= settings.policies.daily_limits.email:
        return None
    left = left_today(session, run)[Channel.EMAIL]
    if Channel.EMAIL in standing_pauses(session).channels:
        return 0
    names = [campaign.campaign for campaign in business.campaigns]
    return max(0, left - mails_spoken_for(session, names, run=run))
