"""Alembic's entry: runs on the connection that `database.migrate` hands over, inside its transaction.

The version has a table of its own: in another service's database the migration then fails aloud instead of believing
that it was done.
"""

from alembic import context

from services.portal.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table="portal_version"
)
context.run_migrations()
