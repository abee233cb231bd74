"""Datasets of channels × samples, arrays of some of their channels, and recordings of several files."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not by making the table anew: others refer to its rows, and SQLite does not let it go then.
    op.add_column("datafile", sa.Column("is_transposed", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("datafile", sa.Column("columns", sa.JSON(), nullable=True))
    op.add_column("datafile", sa.Column("lies_in_id", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_datafile_lies_in_id"), "datafile", ["lies_in_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_datafile_lies_in_id"), table_name="datafile")
    op.drop_column("datafile", "lies_in_id")
    op.drop_column("datafile", "columns")
    op.drop_column("datafile", "is_transposed")
