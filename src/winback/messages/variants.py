"""Which variant of a template a customer gets: split equally by a stable hash, never by chance."""

import hashlib
from collections.abc import Sequence


def variant_for(
    salt: str, campaign: str, *, enrollment_id: int, template: str, variants: Sequence[str]
) -> str:
    """Give one of the variants; the same enrollment always gets the same one.

    Variants are ordered by name first, so the order in which files were found changes nothing.
    Raises ValueError when there are none.
    """
    if not variants:
        raise ValueError(f"template {template!r} has no variant")
    if len(variants) == 1:
        return variants[0]
    ordered = sorted(variants)
    drawn = hashlib.sha256(f"{salt}:variant:{campaign}:{template}:{enrollment_id}".encode())
    return ordered[int.from_bytes(drawn.digest()[:8]) % len(ordered)]
