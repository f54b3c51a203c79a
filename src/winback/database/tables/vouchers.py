"""Codes of offers, from the stock to the till."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from winback.database.tables.base import Table, only_where, refer_to, row_id
from winback.database.types import RowId, Utc, Word
from winback.states import VoucherState


class Voucher(Table):
    """One code of an offer, bound to one enrollment once reserved."""

    __tablename__ = "vouchers"
    __table_args__ = (
        Index(
            "uq_vouchers_one_per_enrollment",
            "enrollment_id",
            "offer",
            unique=True,
            **only_where("enrollment_id IS NOT NULL"),
        ),
        Index("ix_vouchers_campaign_offer_state", "campaign", "offer", "state"),
        Index(
            "ix_vouchers_reserved",
            "enrollment_id",
            **only_where("state = 'reserved'"),
        ),
        Index(
            "ix_vouchers_redeemed_at",
            "redeemed_at",
            **only_where("redeemed_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = row_id()
    campaign: Mapped[str] = mapped_column(String(64))
    offer: Mapped[str] = mapped_column(String(64))
    code: Mapped[str] = mapped_column(String(64))
    """As it is printed."""
    code_key: Mapped[str] = mapped_column(String(64), unique=True)
    """As it is compared: capitals without dashes and look-alike letters."""
    terms: Mapped[str] = mapped_column(Text, default="")
    """What it gives, as the shop was told; empty for the shop's own codes, which fit any."""
    state: Mapped[VoucherState] = mapped_column(Word(VoucherState))
    made_at: Mapped[datetime] = mapped_column(Utc)
    is_imported: Mapped[bool] = mapped_column(default=False)
    exported_at: Mapped[datetime | None] = mapped_column(Utc)
    enrollment_id: Mapped[int | None] = refer_to("enrollments.id")
    reserved_at: Mapped[datetime | None] = mapped_column(Utc)
    issued_at: Mapped[datetime | None] = mapped_column(Utc)
    issued_by: Mapped[int | None] = mapped_column(RowId)
    """The message whose claim issued it."""
    expires_at: Mapped[datetime | None] = mapped_column(Utc)
    """End of the business's local day, exclusive; fixed at issue."""
    redeemed_at: Mapped[datetime | None] = mapped_column(Utc)
    purchase_id: Mapped[int | None] = refer_to("purchases.id")
