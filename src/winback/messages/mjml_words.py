"""The part of MJML that templates may use: elements, where they stand, and their attributes.

The engine takes unknown words silently and drops what stands in the wrong place, so the list is
ours. Left out on purpose: ``mj-include`` (no files are read), ``mj-font`` and ``mj-social``
(fetched from third parties), ``mj-wrapper`` (a condition in it breaks Outlook's comments),
carousels and menus (not read aloud well).
"""

from typing import Final

_PADDING: Final = "padding padding-top padding-right padding-bottom padding-left"
_FONT: Final = (
    "color font-family font-size font-style font-weight letter-spacing line-height "
    "text-decoration text-transform"
)
_BORDER: Final = "border border-top border-right border-bottom border-left border-radius"
_COMMON: Final = "css-class mj-class"


def _words(*written: str) -> frozenset[str]:
    return frozenset(" ".join(written).split())


ATTRIBUTES: Final[dict[str, frozenset[str]]] = {
    "mjml": _words("lang dir owa"),
    "mj-head": _words(""),
    "mj-body": _words("background-color width css-class"),
    "mj-attributes": _words(""),
    "mj-all": _words("name", _PADDING, _FONT, "align background-color"),
    "mj-class": _words(
        "name", _PADDING, _FONT, _BORDER, "align background-color inner-padding width"
    ),
    "mj-breakpoint": _words("width"),
    "mj-preview": _words(""),
    "mj-style": _words("inline"),
    "mj-title": _words(""),
    "mj-section": _words(
        _COMMON, _PADDING, _BORDER, "background-color direction full-width text-align"
    ),
    "mj-column": _words(
        _COMMON, _PADDING, _BORDER, "background-color inner-background-color vertical-align width"
    ),
    "mj-group": _words(_COMMON, "background-color direction vertical-align width"),
    "mj-text": _words(
        _COMMON, _PADDING, _FONT, "align container-background-color height vertical-align"
    ),
    "mj-button": _words(
        _COMMON,
        _PADDING,
        _FONT,
        _BORDER,
        "align background-color container-background-color height href inner-padding name rel",
        "target text-align title vertical-align width",
    ),
    "mj-image": _words(
        _COMMON,
        _PADDING,
        _BORDER,
        "align alt container-background-color fluid-on-mobile height href max-height name rel",
        "sizes src srcset target title usemap width",
    ),
    "mj-divider": _words(
        _COMMON,
        _PADDING,
        "align border-color border-style border-width container-background-color width",
    ),
    "mj-spacer": _words(_COMMON, _PADDING, "container-background-color height"),
    "mj-table": _words(
        _COMMON,
        _PADDING,
        _FONT,
        "align border cellpadding cellspacing container-background-color role table-layout width",
    ),
    "mj-raw": _words("position"),
}
_CONTENT: Final = "mj-column"
PARENTS: Final[dict[str, frozenset[str]]] = {
    "mj-head": _words("mjml"),
    "mj-body": _words("mjml"),
    "mj-attributes": _words("mj-head"),
    "mj-all": _words("mj-attributes"),
    "mj-class": _words("mj-attributes"),
    "mj-breakpoint": _words("mj-head"),
    "mj-preview": _words("mj-head"),
    "mj-style": _words("mj-head"),
    "mj-title": _words("mj-head"),
    "mj-section": _words("mj-body"),
    "mj-group": _words("mj-section"),
    "mj-column": _words("mj-section mj-group"),
    "mj-text": _words(_CONTENT),
    "mj-button": _words(_CONTENT),
    "mj-image": _words(_CONTENT),
    "mj-divider": _words(_CONTENT),
    "mj-spacer": _words(_CONTENT),
    "mj-table": _words(_CONTENT),
    "mj-raw": _words("mj-body mj-section mj-column"),
}
DEFAULTS_IN: Final = "mj-attributes"
"""Inside it any element may stand, without content, to set defaults."""
HOLDS_HTML: Final = _words("mj-text mj-button mj-table mj-raw")
HOLDS_ELEMENTS: Final = _words("mj-body mj-section mj-column mj-group")
HTML: Final = _words(
    "a abbr b br code div em h1 h2 h3 h4 hr i img li ol p s small span strong sub sup table",
    "tbody td tfoot th thead tr u ul",
)
VOID: Final = _words("br hr img col")
WHY_NOT: Final = {
    "mj-include": "no files are read from templates",
    "mj-font": "fonts from third parties are not fetched: name fonts that readers have",
    "mj-social": "its icons come from a third party: write links as text",
    "mj-wrapper": "use mj-section with padding",
}
