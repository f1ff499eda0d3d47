"""Facts that arrive late lose to newer ones: the basis of rounds and of what holds them, the moment of suppressions.

What is there gets its basis from its body. A round suppression of before holds its round until it is lifted, as it did.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("basis", sa.String(length=40), nullable=False, server_default=""))
    op.add_column("suppressions", sa.Column("basis", sa.String(length=40)))
    op.add_column("suppressions", sa.Column("at", sa.BigInteger(), nullable=False, server_default="0"))
    rounds = sa.table("rounds", sa.column("round_id"), sa.column("basis"), sa.column("body"))
    suppressions = sa.table("suppressions", sa.column("scope"), sa.column("basis"))
    connection = op.get_bind()
    for round_id, body in connection.execute(sa.select(rounds.c.round_id, rounds.c.body)).all():
        basis = json.loads(body)["basis"]
        parts = (basis.get(name, 0) for name in ("case_version", "decision", "import_number", "subscription"))
        text = "".join(f"{part:010d}" for part in parts)
        connection.execute(rounds.update().where(rounds.c.round_id == round_id).values(basis=text))
    connection.execute(suppressions.update().where(suppressions.c.scope == "round").values(basis="9" * 40))
