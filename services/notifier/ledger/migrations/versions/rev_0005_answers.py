"""Who has answered, and when those who have not are reminded."""

import json
from datetime import datetime

import sqlalchemy as sa
from alembic import op

from services.runtime.store.database import micros

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("invitation_id", sa.String(length=80), nullable=False),
        sa.Column("round_id", sa.String(length=80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("invitation_id"),
    )
    op.create_index(op.f("ix_answers_round_id"), "answers", ["round_id"])
    op.add_column("rounds", sa.Column("remind_at", sa.BigInteger()))
    rounds = sa.table("rounds", sa.column("round_id"), sa.column("remind_at"), sa.column("body"))
    connection = op.get_bind()
    for round_id, body in connection.execute(sa.select(rounds.c.round_id, rounds.c.body)).all():
        if (said := json.loads(body).get("remind_at")) is not None:
            at = micros(datetime.fromisoformat(said))
            connection.execute(rounds.update().where(rounds.c.round_id == round_id).values(remind_at=at))
