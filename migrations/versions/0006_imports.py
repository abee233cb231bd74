"""What uploads can be imported as, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datafile", sa.Column("format", sa.String(length=32), nullable=True))
    op.add_column("datafile", sa.Column("block_id", sa.Integer(), nullable=True))
    op.add_column("stored_file", sa.Column("imported_from", sa.Text(), nullable=True))
    op.create_index(op.f("ix_stored_file_imported_from"), "stored_file", ["imported_from"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_stored_file_imported_from"), table_name="stored_file")
    op.drop_column("stored_file", "imported_from")
    op.drop_column("datafile", "block_id")
    op.drop_column("datafile", "format")
