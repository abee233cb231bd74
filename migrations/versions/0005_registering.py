"""What of an object a person corrected; which file a file is wherever it lies; since when one is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CORRECTED = (
    "block",
    "segment",
    "recordingchannelgroup",
    "recordingchannel",
    "unit",
    "analogsignal",
    "irsaanalogsignal",
    "analogsignalarray",
    "spiketrain",
    "spike",
    "eventarray",
    "event",
    "epocharray",
    "epoch",
    "datafile",
)


def upgrade() -> None:
    op.add_column("stored_file", sa.Column("identity", sa.String(length=255), nullable=True))
    op.add_column("stored_file", sa.Column("missing_since", sa.DateTime(), nullable=True))
    op.create_index(op.f("ix_stored_file_identity"), "stored_file", ["identity"], unique=False)
    for table in CORRECTED:
        op.add_column(table, sa.Column("corrections", sa.JSON(), nullable=True))


def downgrade() -> None:
    for table in reversed(CORRECTED):
        op.drop_column(table, "corrections")
    op.drop_index(op.f("ix_stored_file_identity"), table_name="stored_file")
    op.drop_column("stored_file", "missing_since")
    op.drop_column("stored_file", "identity")
