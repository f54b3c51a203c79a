"""The values that stand for a template on its way from the file to the message."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from winback.states import Channel

DEFAULT_VARIANT = "a"


@dataclass(frozen=True, slots=True)
class Source:
    """One template file as it stands on disk, with its text twin and the layout around it."""

    campaign: str
    template: str
    channel: Channel
    locale: str
    """Empty for the default, else as in the file's name, ``de`` or ``de-AT``."""
    variant: str
    suffix: str
    """mjml, html, sms, call or letter."""
    shown_as: str
    """Path under the home folder, for the sentences."""
    text: str
    twin: str | None = None
    """The hand-written text part of a mail (``.txt``)."""
    twin_shown_as: str = ""
    layout: Mapping[str, str] = field(default_factory=dict)
    """``mjml`` and ``txt``: what stands around the content; ``shown_as`` in ``layout_files``."""
    layout_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Campaign and template, for a sentence."""
        return f"{self.campaign}/{self.template}"


@dataclass(frozen=True, slots=True)
class PublishedTemplate:
    """A template version as stored: what a message is rendered from, now and in ten years."""

    id: int
    campaign: str
    template: str
    channel: Channel
    locale: str
    variant: str
    language: str
    subject: str
    preheader: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template after MJML and CSS inlining, with its Jinja tags back in place."""

    source: Source
    subject: str
    preheader: str
    html: str
    text: str
    language: str
    content_hash: str

    def unpublished(self) -> PublishedTemplate:
        """Give it in the form that is rendered, under no id: dry renderings and previews."""
        return PublishedTemplate(
            id=0,
            campaign=self.source.campaign,
            template=self.source.template,
            channel=self.source.channel,
            locale=self.source.locale,
            variant=self.source.variant,
            language=self.language,
            subject=self.subject,
            preheader=self.preheader,
            html=self.html,
            text=self.text,
        )


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message's words; ``subject`` and ``html`` are empty for texts, calls and letters."""

    subject: str
    html: str
    text: str
