"""Indexes of messages hold what is asked for: a message moves in them at each of its states."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Index, columns, and the only rows that have an entry.
_PARTIAL = (
    ("ix_messages_contact_point_id", ["contact_point_id"], "contact_point_id IS NOT NULL"),
    ("ix_messages_channel_claimed_at", ["channel", "claimed_at"], "claimed_at IS NOT NULL"),
    (
        "ix_messages_provider_message_id",
        ["provider_message_id"],
        "provider_message_id IS NOT NULL",
    ),
    ("ix_messages_address_hash", ["address_hash"], "address_hash IS NOT NULL"),
)
_WHOLE = (
    ("ix_messages_contact_point_id_claimed_at", ["contact_point_id", "claimed_at"]),
    ("ix_messages_channel_claimed_at", ["channel", "claimed_at"]),
    ("ix_messages_provider_message_id", ["provider_message_id"]),
    ("ix_messages_address_hash", ["address_hash"]),
)
_ONE_PER_STEP = (
    "state = 'queued' OR state = 'sending' OR state = 'unconfirmed' OR accepted_at IS NOT NULL"
)
_ONE_PER_STEP_BEFORE = "state IN ('queued', 'sending', 'unconfirmed') OR accepted_at IS NOT NULL"


def upgrade() -> None:
    op.drop_index("ix_messages_look_at", "messages")
    for name, _ in _WHOLE:
        op.drop_index(name, "messages")
    for name, columns, condition in _PARTIAL:
        op.create_index(
            name,
            "messages",
            columns,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
    _one_per_step(_ONE_PER_STEP)


def downgrade() -> None:
    _one_per_step(_ONE_PER_STEP_BEFORE)
    for name, _, _ in _PARTIAL:
        op.drop_index(name, "messages")
    for name, columns in _WHOLE:
        op.create_index(name, "messages", columns)
    op.create_index(
        "ix_messages_look_at",
        "messages",
        ["look_at"],
        sqlite_where=sa.text("look_at IS NOT NULL"),
        postgresql_where=sa.text("look_at IS NOT NULL"),
    )


def _one_per_step(condition: str) -> None:
    # In the transaction of the upgrade: nobody writes between the two.
    op.drop_index("uq_messages_one_per_step", "messages")
    op.create_index(
        "uq_messages_one_per_step",
        "messages",
        ["enrollment_id", "step"],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
