"""The words and turns of speech that wording.py looks for, one pattern a line. Data only.

Everything is matched against folded text: lower case, no accents, no apostrophes, no punctuation,
single blanks. ``*`` at the end of a word stands for any ending.
"""

import re
from typing import Final


def _any_of(lines: str) -> re.Pattern[str]:
    """Join lines to one pattern of whole words; ``#`` begins a comment."""
    listed = (line.split("#")[0].strip() for line in lines.splitlines())
    joined = re.sub(r"(?<=[a-z])\*", r"\\w*", "|".join(line for line in listed if line))
    return re.compile(rf"\b(?:{joined})(?=\s|$)")


OPT_OUT_WORDS: Final = frozenset(
    """
    stop stopall unsubscribe unsub cancel end quit revoke optout remove arret td
    abmelden abbestellen stopp baja basta parar pare sair cancelar desabonner desinscrire
    desinscription afmelden uitschrijven disiscrivimi cancellami
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Enough by themselves, with nothing but kind words around them (FACTS.md TW-20)."""

FILLER: Final = frozenset(
    """
    please pls plz thanks thank you thx now just ok okay hi hello hey dear me it this that these
    immediately asap today sorry no and i said all the messages texts text message emails email
    mails mail por favor gracias merci svp bitte danke want to would like wish
    """.split()  # noqa: SIM905
)
"""Words that may stand around them."""

FIRST_WORDS: Final = frozenset(("stop", "stopall", "unsubscribe", "optout"))
"""A short message that begins with one of these is a no, whatever follows."""
OPT_IN_WORDS: Final = frozenset(("start", "unstop", "yes"))
HELP_WORDS: Final = frozenset(("help", "info"))
BARE_NO: Final = frozenset(("no", "nope", "no thanks", "no thank you", "nein", "non"))
"""No to what? A person looks."""

_CONTACT: Final = (
    "(?:texts?|texting|messages?|messaging|msgs?|emails?|emailing|mails?|mailings?|contact"
    "|contacting|calls?|calling|write|writing|send|sending|spam|spamming|bother|bothering|harass"
    "|harassing|marketing|newsletters?|ads|offers)"
)

OPT_OUT_PHRASES: Final = _any_of(
    rf"""
    (?:stop|quit|cease|end) (?:\w+ ){{0,3}}{_CONTACT}
    (?:dont|do not|never|no longer|not) (?:(?:ever|want|wish|to|you|any|more|be|receive|get|your|these|this|me) )*{_CONTACT} ?(?:(?:to )?me|us|again|anymore|any more|please|$)
    (?:dont|do not|no longer) (?:want|wish|need) (?:to )?(?:(?:receive|get|be) )?(?:your|these|any|any more|more|this|such) {_CONTACT}
    no more (?:of )?(?:(?:your|these|this|marketing) )?{_CONTACT}
    (?:^|^please )no more(?: please| thanks| thank you)?$
    wrong (?:number|person|address|email)
    (?:not|no longer|isnt) (?:my|his|her|their|the right) (?:number|phone|email|address)
    (?:take|get) (?:me|my \w+|this \w+) (?:off|out of|from)
    (?:remove|delete|erase|drop) (?:me|my (?:number|phone|email|address|data|details|name|account|info*)|this (?:number|address|email))
    (?:unsubscribe|unsub|deregister|opt|opting) (?:me|us|my \w+|this \w+)
    (?:want|like|wish|need|trying|tried|how|let me|please) (?:\w+ ){{0,5}}(?:unsubscribe|opt out|optout|opt me out)
    ^(?:i )?opt(?:ing)? out
    ^(?:please )?unsubscribe
    (?:revoke|withdraw) (?:my )?consent
    leave me alone
    (?:lose|forget) (?:my|this) number
    go away
    (?:f*k|piss|bugger) off
    (?:screw|fuck) you
    # Spanish, Portuguese
    ^no mas
    no mas (?:mensajes|correos|textos|emails|por favor)
    (?:darme|dame|darse|dar) de baja
    dejen? de (?:escribir*|enviar*|mandar*|molestar*)
    no (?:me|nos) (?:escrib*|envi*|mand*|contact*|molest*|llam*)
    numero equivocado
    nao (?:me )?(?:envie*|mande*|escreva*|quero (?:mais|receber))
    pare de
    numero errado
    # French
    plus de (?:messages?|mails?|sms|textos?|courriels?)
    arretez
    ne m ?(?:ecri*|envo*|contact*) plus
    (?:me|se|vous) (?:desabonner|desinscrire)
    (?:mauvais|faux) numero
    # German
    keine (?:weiteren )?(?:nachrichten|mails|e mails|emails|sms|werbung|newsletter)
    nicht mehr (?:schreiben|kontaktieren|anschreiben|anrufen)
    hort? auf
    (?:bitte|mich) (?:abmelden|austragen|abbestellen)
    falsche nummer
    lasst? mich in ruhe
    (?:daten|adresse|nummer) loschen
    # Italian, Dutch
    non (?:scrive*|invia*|mand*|contatt*) piu
    numero sbagliato
    cancellatemi
    geen (?:berichten|mails|smsjes|sms|e mails|reclame) meer
    verkeerd nummer
    """  # noqa: E501 - a pattern stands on one line
)
"""Free text in which a reasonable person reads a no (FACTS.md LAW-24)."""

IDIOMS: Final = _any_of(
    r"""
    (?:cant|cannot|can not|couldnt|wont|will not|never|non|wouldnt|didnt|did not) (?:ever )?(?:stops?|quit|end|cancel)
    (?:stop|stopped|stopping|swing) (?:by|in|over|off)
    why (?:did|have|do) (?:you|they) (?:\w+ )?stop*
    (?:bus|train|tram|metro|next|one|pit|full|whistle) stop
    stop (?:at|near|next)
    (?:the|week|year|month|dead|other|high) end
    end of
    (?:end|ends|ended) (?:in|on|up|with|this|next)
    remove the
    """  # noqa: E501
)
"""The same words used for something else; taken out before looking."""

PLEADED: Final = _any_of(
    """
    (?:dont|do not|never|please not|no need to|not) (?:ever )?(?:stop|unsubscribe|remove|cancel|end|quit)
    """  # noqa: E501
)
""""Don't stop": either way, a person looks."""

HINTS: Final = _any_of(
    """
    stops?|unsubscribe*|unsub|cancel|quit|revoke|optout|opt out|removed?|delete|spam|junk
    (?:not|no longer) interested
    no interest
    how did you get my
    who (?:is this|are you)
    not a customer
    (?:never signed|didnt sign|did not sign)
    report you|lawyer|gdpr|illegal|annoying|too many|enough|harass*
    deceased|died|passed away|gestorben|verstorben|fallecio
    no me interesa|kein interesse|pas interesse|non interessat*|geen interesse
    """
)
"""Perhaps a no: a person looks, and automation waits (FACTS.md LAW-27)."""

TOPICS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("a loss", _any_of("passed away|died|deceased|death|funeral|bereave*|verstorben|fallecio")),
    (
        "complaint",
        _any_of(
            """
            complain*|refund|broke*|damaged|faulty|defect*|late|never arrived|missing|rude|terrible
            awful|horrible|disappoint*|bad service|poor|worst|not happy|unhappy|let down
            wrong (?:item|order|size|product)
            kaputt|roto|mauvais
            """
        ),
    ),
    (
        "moved",
        _any_of(
            """
            moved|moving|relocat*|no longer live|dont live|abroad|umgezogen|mudad*|demenag*
            """
        ),
    ),
    (
        "bought elsewhere",
        _any_of(
            """
            another (?:shop|store|place|brand)
            (?:other|different) (?:shop|store|supplier)
            somewhere else|elsewhere|competitor|amazon|switched
            """
        ),
    ),
    (
        "no longer needed",
        _any_of(
            """
            (?:no longer|dont|do not) need|not needed|have enough|dont use|gave up
            (?:not|no longer) interested
            """
        ),
    ),
    (
        "hard time",
        _any_of(
            """
            hospital|surgery|cancer|illness|ill|sick|lost my job|laid off|redundan*|divorce
            (?:hard|difficult|tough) time|family emergency
            """
        ),
    ),
    (
        "price",
        _any_of("price*|expensive|afford|cheaper|discount|costs?|budget|money|teuer|caro|cher"),
    ),
    (
        "not now",
        _any_of(
            """
            later|not (?:right )?now|not yet|busy|maybe in
            next (?:week|month|year|spring|summer|autumn|fall|winter)
            after (?:the )?(?:holidays|summer|christmas)
            """
        ),
    ),
    (
        "hours",
        _any_of(
            """
            open|opening|hours|closed?|parking|where are you|located|location|deliver|delivery
            """
        ),
    ),
    (
        "thanks",
        _any_of(
            """
            thanks|thank you|thx|cheers|love|lovely|great|wonderful|kind|appreciate
            gracias|merci|danke|grazie|obrigad*
            """
        ),
    ),
)
"""What a reply is about: the first that fits labels its case."""

SUGGESTIONS: Final = {
    "maybe a no": "It may be a no. If it is, note the result do-not-contact.",
    "a loss": "Write a line of sympathy, offer nothing, and note the result not-interested.",
    "complaint": "Say sorry in your own words, ask what would put it right, and do it.",
    "moved": "Wish them well; ask whether they would still like to order online.",
    "bought elsewhere": "Thank them for the honest word; ask what the other does better.",
    "no longer needed": "Thank them and end it kindly; note the result not-interested.",
    "hard time": "Wish them strength, offer nothing, say that we are here whenever they like.",
    "price": "Say what their voucher gives and until when, if one was sent.",
    "not now": "Ask when it would suit them, and resume then.",
    "hours": "Answer with our hours and the ways to order.",
    "question": "Answer the question.",
    "thanks": "Thank them back, and ask whether there is anything they need.",
    "help": "Say who we are and how to reach us.",
    "reply": "Read it, and answer as a person would.",
}
"""What an associate may begin with, by label."""

AUTO_SUBJECTS: Final = _any_of(
    """
    ^automatic reply|^auto ?reply|^out of (?:the )?office|^abwesen*|^automatische antwort
    ^reponse automatique|^respuesta automatica|^risposta automatica|^automatisch antwoord
    ^undeliver*|^delivery status notification|^mail delivery|^returned mail
    """
)
"""Subjects that machines write."""
