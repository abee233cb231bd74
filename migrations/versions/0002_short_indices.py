"""Short chunk indices in the catalog."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "short_index",
        sa.Column("sidecar", sa.String(length=64), nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sidecar", name=op.f("pk_short_index")),
    )


def downgrade() -> None:
    op.drop_table("short_index")
