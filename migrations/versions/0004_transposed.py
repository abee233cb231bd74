"""Datasets of channels × samples."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datafile", sa.Column("is_transposed", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.drop_column("is_transposed")
