"""Tell a person's click from a scanner's, and a click that counts from one that does not. Pure.

Mail scanners follow every link, seconds after delivery (FACTS.md SEC-11). A click that is filtered
is kept with its reason; none, human or not, ever converts (SEC-12).
"""

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

TOO_SOON: Final = timedelta(seconds=10)
"""Nobody opens, reads and taps a mail this soon after it was handed to the provider."""

_MACHINES: Final = re.compile(
    r"bot\b|crawl|spider|scanner|preview|monitor|safelinks|proofpoint|barracuda|mimecast|ironport"
    r"|trendmicro|fireeye|symantec|messagelabs|forcepoint|zscaler|googleimageproxy|yahoomailproxy"
    r"|curl/|wget/|python-|aiohttp|httpx|okhttp|go-http-client|java/|libwww|headless|phantomjs"
    r"|facebookexternalhit|whatsapp|slack|telegram",
    re.IGNORECASE,
)


def why_no_human_click(
    *, user_agent: str | None, clicked_at: datetime, sent_at: datetime | None
) -> str | None:
    """Say why a click was no person's; None when it may well have been one.

    ``user_agent`` None means that the reporter did not say.
    """
    if user_agent is not None and not user_agent.strip():
        return "no browser named"
    if user_agent is not None and _MACHINES.search(user_agent):
        return "a scanner or a program"
    # The very same instant is a clock that stands still (``--as-of``), and says nothing.
    if sent_at is not None and clicked_at != sent_at and clicked_at - sent_at < TOO_SOON:
        return "too soon after sending"
    return None


def is_our_page(url: str | None, base_url: str) -> bool:
    """Say whether a link leads to the pages of a no or of a reason, which have their own say.

    Short links are asked by what they lead to; clicks on ``/l`` itself are reported by us.
    """
    if url is None or not url.startswith(base_url):
        return False
    path = urlsplit(url[len(base_url) :]).path
    return path.startswith(("/u/", "/why/", "/l/"))
