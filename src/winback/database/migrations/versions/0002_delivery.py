"""Leases, pace, pauses, alerts and evidence: what delivery needs besides the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.create_index(
            "uq_alerts_standing",
            ["key"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "channel_days",
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("claimed", sa.Integer(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "day", name=op.f("pk_channel_days")),
    )
    op.create_table(
        "paces",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_paces")),
    )
    op.create_table(
        "pauses",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    with op.batch_alter_table("pauses", schema=None) as batch_op:
        batch_op.create_index(
            "uq_pauses_holding",
            ["scope", "name", "by"],
            unique=True,
            sqlite_where=sa.text("resumed_at IS NULL"),
            postgresql_where=sa.text("resumed_at IS NULL"),
        )

    op.create_table(
        "workers",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("place", sa.String(length=128), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("born", sa.String(length=32), server_default="", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_workers_alive",
            ["beat_at"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "detections",
        sa.Column("campaign", sa.String(length=64), nullable=False),
        sa.Column(
            "campaign_version_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("lapsed_until", sa.Date(), nullable=False),
        sa.Column("changed_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_version_id"],
            ["campaign_versions.id"],
            name=op.f("fk_detections_campaign_version_id"),
        ),
        sa.PrimaryKeyConstraint("campaign", name=op.f("pk_detections")),
    )
    op.create_table(
        "waiting",
        sa.Column("campaign", sa.String(length=64), nullable=False),
        sa.Column(
            "customer_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("lapsed_on", sa.Date(), nullable=False),
        sa.Column(
            "campaign_version_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("spend", sa.BigInteger(), nullable=False),
        sa.Column("ranks_until", sa.Date(), nullable=True),
        sa.Column("customer_changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_version_id"],
            ["campaign_versions.id"],
            name=op.f("fk_waiting_campaign_version_id"),
        ),
        sa.ForeignKeyConstraint(
            ["customer_id"], ["customers.id"], name=op.f("fk_waiting_customer_id")
        ),
        sa.PrimaryKeyConstraint("campaign", "customer_id", name=op.f("pk_waiting")),
    )
    with op.batch_alter_table("waiting", schema=None) as batch_op:
        batch_op.create_index(
            "ix_waiting_campaign_ranks_until", ["campaign", "ranks_until"], unique=False
        )
        batch_op.create_index("ix_waiting_customer_id", ["customer_id"], unique=False)
        batch_op.create_index("ix_waiting_turn", ["campaign", "spend", "lapsed_on"], unique=False)

    with op.batch_alter_table("channel_pauses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("strikes", sa.Integer(), server_default="1", nullable=False))

    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_events_complaints",
            ["received_at"],
            unique=False,
            sqlite_where=sa.text("kind = 'complained'"),
            postgresql_where=sa.text("kind = 'complained'"),
        )

    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.add_column(sa.Column("priority", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(
            sa.Column(
                "worker_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )
        batch_op.add_column(sa.Column("looks", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("look_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index("ix_messages_enrollment_id", ["enrollment_id"], unique=False)
        batch_op.create_index(
            "ix_messages_look_at",
            ["look_at"],
            unique=False,
            sqlite_where=sa.text("look_at IS NOT NULL"),
            postgresql_where=sa.text("look_at IS NOT NULL"),
        )

    with op.batch_alter_table("refusals", schema=None) as batch_op:
        batch_op.create_index(
            "ix_refusals_campaign_look_again_on", ["campaign", "look_again_on"], unique=False
        )

    with op.batch_alter_table("stage_runs", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("error", sa.String(length=64), server_default="", nullable=False)
        )

    with op.batch_alter_table("vouchers", schema=None) as batch_op:
        batch_op.create_index(
            "ix_vouchers_reserved",
            ["enrollment_id"],
            unique=False,
            sqlite_where=sa.text("state = 'reserved'"),
            postgresql_where=sa.text("state = 'reserved'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("vouchers", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_vouchers_reserved",
            sqlite_where=sa.text("state = 'reserved'"),
            postgresql_where=sa.text("state = 'reserved'"),
        )

    with op.batch_alter_table("stage_runs", schema=None) as batch_op:
        batch_op.drop_column("error")

    with op.batch_alter_table("refusals", schema=None) as batch_op:
        batch_op.drop_index("ix_refusals_campaign_look_again_on")

    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_messages_look_at",
            sqlite_where=sa.text("look_at IS NOT NULL"),
            postgresql_where=sa.text("look_at IS NOT NULL"),
        )
        batch_op.drop_index("ix_messages_enrollment_id")
        batch_op.drop_column("look_at")
        batch_op.drop_column("looks")
        batch_op.drop_column("worker_id")
        batch_op.drop_column("priority")

    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_events_complaints",
            sqlite_where=sa.text("kind = 'complained'"),
            postgresql_where=sa.text("kind = 'complained'"),
        )

    with op.batch_alter_table("channel_pauses", schema=None) as batch_op:
        batch_op.drop_column("strikes")

    with op.batch_alter_table("waiting", schema=None) as batch_op:
        batch_op.drop_index("ix_waiting_turn")
        batch_op.drop_index("ix_waiting_customer_id")
        batch_op.drop_index("ix_waiting_campaign_ranks_until")

    op.drop_table("waiting")
    op.drop_table("detections")
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_workers_alive",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.drop_table("workers")
    with op.batch_alter_table("pauses", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_pauses_holding",
            sqlite_where=sa.text("resumed_at IS NULL"),
            postgresql_where=sa.text("resumed_at IS NULL"),
        )

    op.drop_table("pauses")
    op.drop_table("paces")
    op.drop_table("channel_days")
    with op.batch_alter_table("alerts", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_alerts_standing",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.drop_table("alerts")
