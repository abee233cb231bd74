"""Run by Alembic, on the connection that storage/catalog/migrate.py gives it."""

from alembic import context

from storage.catalog import accounts, jobs, models, uploads  # noqa: F401 - their tables too
from storage.catalog.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
