"""Overviews: where that of an array lies, what it is made of, and the extent of the array."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datafile", sa.Column("overview", sa.String(64)))
    op.add_column("datafile", sa.Column("overview_form", sa.JSON()))
    op.add_column("datafile", sa.Column("overview_state", sa.String(16)))
    op.add_column("datafile", sa.Column("minimum", sa.Double()))
    op.add_column("datafile", sa.Column("maximum", sa.Double()))
    op.create_index("ix_datafile_overview_state", "datafile", ["overview_state"])


def downgrade() -> None:
    op.drop_index("ix_datafile_overview_state", "datafile")
    for name in ("maximum", "minimum", "overview_state", "overview_form", "overview"):
        op.drop_column("datafile", name)
