"""Alembic's way in: runs the migrations over the connection that the engine module hands it."""

from alembic import context

from winback.database.tables import Table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
