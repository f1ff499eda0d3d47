"""The step that both services' outboxes took from a row for each record to a row for what was written together."""

import json

import sqlalchemy as sa
from alembic import op


def gather() -> None:
    """Makes the table anew with what stands in it: what is decided and not yet told must not be lost on the way."""
    before = sa.table("outbox", *(sa.column(name) for name in ("id", "topic", "key", "headers", "body")))
    untold = op.get_bind().execute(sa.select(before).order_by(before.c.id)).all()
    op.drop_table("outbox")
    after = op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(length=80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.Text(), nullable=False),
    )
    parts = [[row.topic, row.key, json.loads(row.headers), row.body and bytes(row.body).decode()] for row in untold]
    op.bulk_insert(after, [{"owner": "", "at": 0, "records": json.dumps([part])} for part in parts])
