"""Alembic's entry: runs on the connection that `database.migrate` hands over, inside its transaction."""

from alembic import context

from services.notifier.ledger.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
