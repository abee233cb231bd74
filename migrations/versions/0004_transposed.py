"""Datasets of channels × samples, arrays of some of their channels, and recordings of several files."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datafile", sa.Column("is_transposed", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.add_column(sa.Column("columns", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("lies_in_id", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("ix_datafile_lies_in_id"), ["lies_in_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_datafile_lies_in_id"), "stored_file", ["lies_in_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_datafile_lies_in_id"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_datafile_lies_in_id"))
        batch_op.drop_column("lies_in_id")
        batch_op.drop_column("columns")
        batch_op.drop_column("is_transposed")
