"""What uploads can be imported as, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.add_column(sa.Column("format", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("block_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_datafile_block_id"), "block", ["block_id"], ["id"])

    with op.batch_alter_table("stored_file", schema=None) as batch_op:
        batch_op.add_column(sa.Column("imported_from", sa.Text(), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_stored_file_imported_from"), ["imported_from"])


def downgrade() -> None:
    with op.batch_alter_table("stored_file", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_stored_file_imported_from"), type_="unique")
        batch_op.drop_column("imported_from")

    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_datafile_block_id"), type_="foreignkey")
        batch_op.drop_column("block_id")
        batch_op.drop_column("format")
