r"""How an address may stand in what others wrote, pure: in any case, in Unicode or in ASCII.

SQLite lowers the letters of ASCII only, and JSON may write any other letter as ``\u00fc``: so an
address with such letters is looked for in each form that it may have (FACTS.md LAW-39).
"""

import json


def spellings(address: str) -> list[str]:
    """Give the forms of a normalized address, all of ASCII in lower case.

    As it is, shouted, and with capitals in front; the domain also as the net knows it.
    """
    forms = [address]
    local, _, domain = address.rpartition("@")
    if local and not domain.isascii():
        forms.append(f"{local}@{_ascii_domain(domain)}")
    ways = [way for one in forms for way in (one, one.upper(), one.title())]
    # A letter that has no capital of its own would make it another address.
    same = [way for way in ways if way.lower() in forms]
    return list(dict.fromkeys(map(_lower_ascii, same)))


def spellings_in_json(address: str) -> list[str]:
    """Give the forms of an address as they stand in a document, escaped or not."""
    written = [
        json.dumps(one, ensure_ascii=is_escaped)[1:-1]
        for one in spellings(address)
        for is_escaped in (False, True)
    ]
    return list(dict.fromkeys(written))


def _ascii_domain(domain: str) -> str:
    # Its patterns take 50 ms to compile, and hardly anybody needs it.
    from email_validator import validate_email  # noqa: PLC0415

    return validate_email(f"a@{domain}", check_deliverability=False).ascii_domain.lower()


def _lower_ascii(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)
