"""Render the public pages: plain, in the business's name, in the reader's language, no script."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml
from babel import Locale, UnknownLocaleError
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from winback.business import Business

_HERE: Final = Path(__file__).parent
DEFAULT_LANGUAGE: Final = "en"


class Pages:
    """The pages of one business."""

    def __init__(self, business: Business) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(_HERE / "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._business = business.settings.business
        self._style = f"/static/pages.css?v={version('winback')}"

    def show(
        self,
        name: str,
        *,
        locale: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """Render one page; ``values`` are plain data."""
        language = language_of(locale)
        html = self._jinja.get_template(f"{name}.html").render(
            business=self._business,
            language=language,
            words=words_of(language),
            style=self._style,
            **values,
        )
        return HTMLResponse(html, status_code=status, headers=dict(headers or {}))


def language_of(locale: str | None) -> str:
    """Give the language that a page is shown in: the reader's where we speak it."""
    language = (locale or "").replace("_", "-").split("-")[0].lower()
    return language if language in _languages() else DEFAULT_LANGUAGE


def date_locale(locale: str | None, country: str) -> Locale:
    """Give how a reader writes dates: their language, in their country or else the business's."""
    language = language_of(locale)
    for written in (locale, f"{language}-{country}"):
        try:
            if written and language_of(written) == language and "-" in written.replace("_", "-"):
                return Locale.parse(written.replace("_", "-"), sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale.parse(language)


@cache
def words_of(language: str) -> dict[str, Any]:
    """Give the words of the pages in a language."""
    path = _HERE / "words" / f"{language}.yaml"
    words: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return words


@cache
def _languages() -> frozenset[str]:
    return frozenset(path.stem for path in (_HERE / "words").glob("*.yaml"))
