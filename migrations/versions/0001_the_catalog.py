"""The catalog."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pin", sa.String(length=255), nullable=True),
        sa.Column("nbytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("refusals", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
        sa.UniqueConstraint("name", name=op.f("uq_stored_file_name")),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=150), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("username", name=op.f("uq_user_account_username")),
    )
    op.create_table(
        "block",
        sa.Column("filedatetime", sa.DateTime(), nullable=True),
        sa.Column("index", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_block_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_block_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block")),
    )
    with op.batch_alter_table("block", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_block_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_block_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_block_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_block_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("uq_block_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "datafile",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("file_id", sa.Integer(), nullable=False),
        sa.Column("source_path", sa.Text(), nullable=False),
        sa.Column("dtype", sa.String(length=16), nullable=False),
        sa.Column("dataset_shape", sa.JSON(), nullable=False),
        sa.Column("first_row", sa.BigInteger(), nullable=False),
        sa.Column("n_samples", sa.BigInteger(), nullable=False),
        sa.Column("column", sa.Integer(), nullable=True),
        sa.Column("fill", sa.Text(), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=True),
        sa.Column("chunk_shape", sa.JSON(), nullable=True),
        sa.Column("filters", sa.JSON(), nullable=True),
        sa.Column("sidecar", sa.String(length=64), nullable=True),
        sa.Column("sidecar_offsets", sa.JSON(), nullable=True),
        sa.Column("units", sa.Text(), nullable=True),
        sa.Column("calibration", sa.JSON(), nullable=True),
        sa.Column("channel_names", sa.JSON(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_datafile_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_datafile_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datafile")),
    )
    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_datafile_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_datafile_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_datafile_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("uq_datafile_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "unit",
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_unit_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_unit_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
    )
    with op.batch_alter_table("unit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_unit_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_unit_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_unit_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_unit_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("uq_unit_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "recordingchannelgroup",
        sa.Column("block_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["block_id"], ["block.id"], name=op.f("fk_recordingchannelgroup_block_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_recordingchannelgroup_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_recordingchannelgroup_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordingchannelgroup")),
    )
    with op.batch_alter_table("recordingchannelgroup", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recordingchannelgroup_block_id"), ["block_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannelgroup_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannelgroup_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannelgroup_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannelgroup_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("uq_recordingchannelgroup_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "segment",
        sa.Column("filedatetime", sa.DateTime(), nullable=True),
        sa.Column("index", sa.Integer(), nullable=True),
        sa.Column("block_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["block_id"], ["block.id"], name=op.f("fk_segment_block_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_segment_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_segment_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
    )
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_segment_block_id"), ["block_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_segment_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_segment_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_segment_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_segment_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("uq_segment_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "analogsignalarray",
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("signal_id", sa.Integer(), nullable=True),
        sa.Column("recordingchannelgroup_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.Column("t_start", sa.Double(), nullable=False),
        sa.Column("t_start_units", sa.String(length=16), nullable=False),
        sa.Column("sampling_rate", sa.Double(), nullable=False),
        sa.Column("sampling_rate_units", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_analogsignalarray_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_analogsignalarray_owner_id")),
        sa.ForeignKeyConstraint(
            ["recordingchannelgroup_id"],
            ["recordingchannelgroup.id"],
            name=op.f("fk_analogsignalarray_recordingchannelgroup_id"),
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_analogsignalarray_segment_id")),
        sa.ForeignKeyConstraint(["signal_id"], ["datafile.id"], name=op.f("fk_analogsignalarray_signal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analogsignalarray")),
    )
    with op.batch_alter_table("analogsignalarray", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_analogsignalarray_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignalarray_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignalarray_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignalarray_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_analogsignalarray_recordingchannelgroup_id"), ["recordingchannelgroup_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_analogsignalarray_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignalarray_signal_id"), ["signal_id"], unique=False)
        batch_op.create_index("uq_analogsignalarray_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "epocharray",
        sa.Column("labels_id", sa.Integer(), nullable=True),
        sa.Column("times_id", sa.Integer(), nullable=True),
        sa.Column("durations_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["durations_id"], ["datafile.id"], name=op.f("fk_epocharray_durations_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_epocharray_file_id")),
        sa.ForeignKeyConstraint(["labels_id"], ["datafile.id"], name=op.f("fk_epocharray_labels_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_epocharray_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_epocharray_segment_id")),
        sa.ForeignKeyConstraint(["times_id"], ["datafile.id"], name=op.f("fk_epocharray_times_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epocharray")),
    )
    with op.batch_alter_table("epocharray", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_epocharray_durations_id"), ["durations_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epocharray_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epocharray_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_epocharray_labels_id"), ["labels_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epocharray_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epocharray_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epocharray_times_id"), ["times_id"], unique=False)
        batch_op.create_index("uq_epocharray_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "eventarray",
        sa.Column("labels_id", sa.Integer(), nullable=True),
        sa.Column("times_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_eventarray_file_id")),
        sa.ForeignKeyConstraint(["labels_id"], ["datafile.id"], name=op.f("fk_eventarray_labels_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_eventarray_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_eventarray_segment_id")),
        sa.ForeignKeyConstraint(["times_id"], ["datafile.id"], name=op.f("fk_eventarray_times_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_eventarray")),
    )
    with op.batch_alter_table("eventarray", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_eventarray_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_eventarray_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_eventarray_labels_id"), ["labels_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_eventarray_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_eventarray_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_eventarray_times_id"), ["times_id"], unique=False)
        batch_op.create_index("uq_eventarray_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "recordingchannel",
        sa.Column("index", sa.Integer(), nullable=True),
        sa.Column("recordingchannelgroup_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_recordingchannel_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_recordingchannel_owner_id")),
        sa.ForeignKeyConstraint(
            ["recordingchannelgroup_id"],
            ["recordingchannelgroup.id"],
            name=op.f("fk_recordingchannel_recordingchannelgroup_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordingchannel")),
    )
    with op.batch_alter_table("recordingchannel", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recordingchannel_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannel_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannel_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_recordingchannel_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_recordingchannel_recordingchannelgroup_id"), ["recordingchannelgroup_id"], unique=False
        )
        batch_op.create_index("uq_recordingchannel_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "spike",
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("time_units", sa.String(length=16), nullable=False),
        sa.Column("sampling_rate", sa.Double(), nullable=False),
        sa.Column("sampling_rate_units", sa.String(length=16), nullable=False),
        sa.Column("left_sweep", sa.Double(), nullable=True),
        sa.Column("left_sweep_units", sa.String(length=16), nullable=True),
        sa.Column("waveform_id", sa.Integer(), nullable=True),
        sa.Column("unit_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_spike_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_spike_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_spike_segment_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_spike_unit_id")),
        sa.ForeignKeyConstraint(["waveform_id"], ["datafile.id"], name=op.f("fk_spike_waveform_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spike")),
    )
    with op.batch_alter_table("spike", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spike_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spike_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_spike_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spike_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spike_unit_id"), ["unit_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spike_waveform_id"), ["waveform_id"], unique=False)
        batch_op.create_index("uq_spike_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "spiketrain",
        sa.Column("t_start", sa.Double(), nullable=False),
        sa.Column("t_start_units", sa.String(length=16), nullable=False),
        sa.Column("t_stop", sa.Double(), nullable=False),
        sa.Column("t_stop_units", sa.String(length=16), nullable=False),
        sa.Column("times_id", sa.Integer(), nullable=True),
        sa.Column("waveforms_id", sa.Integer(), nullable=True),
        sa.Column("unit_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_spiketrain_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_spiketrain_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_spiketrain_segment_id")),
        sa.ForeignKeyConstraint(["times_id"], ["datafile.id"], name=op.f("fk_spiketrain_times_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_spiketrain_unit_id")),
        sa.ForeignKeyConstraint(["waveforms_id"], ["datafile.id"], name=op.f("fk_spiketrain_waveforms_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spiketrain")),
    )
    with op.batch_alter_table("spiketrain", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_spiketrain_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_times_id"), ["times_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_unit_id"), ["unit_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_spiketrain_waveforms_id"), ["waveforms_id"], unique=False)
        batch_op.create_index("uq_spiketrain_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "analogsignal",
        sa.Column("signal_id", sa.Integer(), nullable=True),
        sa.Column("recordingchannel_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.Column("t_start", sa.Double(), nullable=False),
        sa.Column("t_start_units", sa.String(length=16), nullable=False),
        sa.Column("sampling_rate", sa.Double(), nullable=False),
        sa.Column("sampling_rate_units", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_analogsignal_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_analogsignal_owner_id")),
        sa.ForeignKeyConstraint(
            ["recordingchannel_id"], ["recordingchannel.id"], name=op.f("fk_analogsignal_recordingchannel_id")
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_analogsignal_segment_id")),
        sa.ForeignKeyConstraint(["signal_id"], ["datafile.id"], name=op.f("fk_analogsignal_signal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analogsignal")),
    )
    with op.batch_alter_table("analogsignal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_analogsignal_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignal_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignal_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignal_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignal_recordingchannel_id"), ["recordingchannel_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignal_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_analogsignal_signal_id"), ["signal_id"], unique=False)
        batch_op.create_index("uq_analogsignal_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "epoch",
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("time_units", sa.String(length=16), nullable=False),
        sa.Column("duration", sa.Double(), nullable=False),
        sa.Column("duration_units", sa.String(length=16), nullable=False),
        sa.Column("epocharray_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["epocharray_id"], ["epocharray.id"], name=op.f("fk_epoch_epocharray_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_epoch_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_epoch_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_epoch_segment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epoch")),
    )
    with op.batch_alter_table("epoch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_epoch_epocharray_id"), ["epocharray_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epoch_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epoch_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_epoch_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_epoch_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index("uq_epoch_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "event",
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("time_units", sa.String(length=16), nullable=False),
        sa.Column("eventarray_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["eventarray_id"], ["eventarray.id"], name=op.f("fk_event_eventarray_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_event_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_event_owner_id")),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_event_segment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_event_eventarray_id"), ["eventarray_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_event_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index("uq_event_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "irsaanalogsignal",
        sa.Column("t_start", sa.Double(), nullable=False),
        sa.Column("t_start_units", sa.String(length=16), nullable=False),
        sa.Column("signal_id", sa.Integer(), nullable=True),
        sa.Column("times_id", sa.Integer(), nullable=True),
        sa.Column("recordingchannel_id", sa.Integer(), nullable=True),
        sa.Column("annotations", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.Integer(), nullable=True),
        sa.Column("source_path", sa.Text(), nullable=True),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=40), nullable=False),
        sa.Column("safety_level", sa.Integer(), nullable=False),
        sa.Column("current_state", sa.Integer(), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("last_modified", sa.DateTime(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_irsaanalogsignal_file_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_irsaanalogsignal_owner_id")),
        sa.ForeignKeyConstraint(
            ["recordingchannel_id"], ["recordingchannel.id"], name=op.f("fk_irsaanalogsignal_recordingchannel_id")
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_irsaanalogsignal_segment_id")),
        sa.ForeignKeyConstraint(["signal_id"], ["datafile.id"], name=op.f("fk_irsaanalogsignal_signal_id")),
        sa.ForeignKeyConstraint(["times_id"], ["datafile.id"], name=op.f("fk_irsaanalogsignal_times_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_irsaanalogsignal")),
    )
    with op.batch_alter_table("irsaanalogsignal", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_file_id"), ["file_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_guid"), ["guid"], unique=False)
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_name"), ["name"], unique=False)
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_irsaanalogsignal_recordingchannel_id"), ["recordingchannel_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_segment_id"), ["segment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_signal_id"), ["signal_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_irsaanalogsignal_times_id"), ["times_id"], unique=False)
        batch_op.create_index("uq_irsaanalogsignal_source", ["file_id", "source_path"], unique=True)

    op.create_table(
        "unit_recordingchannel",
        sa.Column("unit_id", sa.Integer(), nullable=False),
        sa.Column("recordingchannel_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recordingchannel_id"], ["recordingchannel.id"], name=op.f("fk_unit_recordingchannel_recordingchannel_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_unit_recordingchannel_unit_id")),
        sa.PrimaryKeyConstraint("unit_id", "recordingchannel_id", name=op.f("pk_unit_recordingchannel")),
    )
    with op.batch_alter_table("unit_recordingchannel", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_unit_recordingchannel_recordingchannel_id"), ["recordingchannel_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("unit_recordingchannel", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_unit_recordingchannel_recordingchannel_id"))

    op.drop_table("unit_recordingchannel")
    with op.batch_alter_table("irsaanalogsignal", schema=None) as batch_op:
        batch_op.drop_index("uq_irsaanalogsignal_source")
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_times_id"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_signal_id"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_segment_id"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_recordingchannel_id"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_owner_id"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_name"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_guid"))
        batch_op.drop_index(batch_op.f("ix_irsaanalogsignal_file_id"))

    op.drop_table("irsaanalogsignal")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("uq_event_source")
        batch_op.drop_index(batch_op.f("ix_event_segment_id"))
        batch_op.drop_index(batch_op.f("ix_event_owner_id"))
        batch_op.drop_index(batch_op.f("ix_event_guid"))
        batch_op.drop_index(batch_op.f("ix_event_file_id"))
        batch_op.drop_index(batch_op.f("ix_event_eventarray_id"))

    op.drop_table("event")
    with op.batch_alter_table("epoch", schema=None) as batch_op:
        batch_op.drop_index("uq_epoch_source")
        batch_op.drop_index(batch_op.f("ix_epoch_segment_id"))
        batch_op.drop_index(batch_op.f("ix_epoch_owner_id"))
        batch_op.drop_index(batch_op.f("ix_epoch_guid"))
        batch_op.drop_index(batch_op.f("ix_epoch_file_id"))
        batch_op.drop_index(batch_op.f("ix_epoch_epocharray_id"))

    op.drop_table("epoch")
    with op.batch_alter_table("analogsignal", schema=None) as batch_op:
        batch_op.drop_index("uq_analogsignal_source")
        batch_op.drop_index(batch_op.f("ix_analogsignal_signal_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignal_segment_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignal_recordingchannel_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignal_owner_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignal_name"))
        batch_op.drop_index(batch_op.f("ix_analogsignal_guid"))
        batch_op.drop_index(batch_op.f("ix_analogsignal_file_id"))

    op.drop_table("analogsignal")
    with op.batch_alter_table("spiketrain", schema=None) as batch_op:
        batch_op.drop_index("uq_spiketrain_source")
        batch_op.drop_index(batch_op.f("ix_spiketrain_waveforms_id"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_unit_id"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_times_id"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_segment_id"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_owner_id"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_name"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_guid"))
        batch_op.drop_index(batch_op.f("ix_spiketrain_file_id"))

    op.drop_table("spiketrain")
    with op.batch_alter_table("spike", schema=None) as batch_op:
        batch_op.drop_index("uq_spike_source")
        batch_op.drop_index(batch_op.f("ix_spike_waveform_id"))
        batch_op.drop_index(batch_op.f("ix_spike_unit_id"))
        batch_op.drop_index(batch_op.f("ix_spike_segment_id"))
        batch_op.drop_index(batch_op.f("ix_spike_owner_id"))
        batch_op.drop_index(batch_op.f("ix_spike_guid"))
        batch_op.drop_index(batch_op.f("ix_spike_file_id"))

    op.drop_table("spike")
    with op.batch_alter_table("recordingchannel", schema=None) as batch_op:
        batch_op.drop_index("uq_recordingchannel_source")
        batch_op.drop_index(batch_op.f("ix_recordingchannel_recordingchannelgroup_id"))
        batch_op.drop_index(batch_op.f("ix_recordingchannel_owner_id"))
        batch_op.drop_index(batch_op.f("ix_recordingchannel_name"))
        batch_op.drop_index(batch_op.f("ix_recordingchannel_guid"))
        batch_op.drop_index(batch_op.f("ix_recordingchannel_file_id"))

    op.drop_table("recordingchannel")
    with op.batch_alter_table("eventarray", schema=None) as batch_op:
        batch_op.drop_index("uq_eventarray_source")
        batch_op.drop_index(batch_op.f("ix_eventarray_times_id"))
        batch_op.drop_index(batch_op.f("ix_eventarray_segment_id"))
        batch_op.drop_index(batch_op.f("ix_eventarray_owner_id"))
        batch_op.drop_index(batch_op.f("ix_eventarray_labels_id"))
        batch_op.drop_index(batch_op.f("ix_eventarray_guid"))
        batch_op.drop_index(batch_op.f("ix_eventarray_file_id"))

    op.drop_table("eventarray")
    with op.batch_alter_table("epocharray", schema=None) as batch_op:
        batch_op.drop_index("uq_epocharray_source")
        batch_op.drop_index(batch_op.f("ix_epocharray_times_id"))
        batch_op.drop_index(batch_op.f("ix_epocharray_segment_id"))
        batch_op.drop_index(batch_op.f("ix_epocharray_owner_id"))
        batch_op.drop_index(batch_op.f("ix_epocharray_labels_id"))
        batch_op.drop_index(batch_op.f("ix_epocharray_guid"))
        batch_op.drop_index(batch_op.f("ix_epocharray_file_id"))
        batch_op.drop_index(batch_op.f("ix_epocharray_durations_id"))

    op.drop_table("epocharray")
    with op.batch_alter_table("analogsignalarray", schema=None) as batch_op:
        batch_op.drop_index("uq_analogsignalarray_source")
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_signal_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_segment_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_recordingchannelgroup_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_owner_id"))
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_name"))
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_guid"))
        batch_op.drop_index(batch_op.f("ix_analogsignalarray_file_id"))

    op.drop_table("analogsignalarray")
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.drop_index("uq_segment_source")
        batch_op.drop_index(batch_op.f("ix_segment_owner_id"))
        batch_op.drop_index(batch_op.f("ix_segment_name"))
        batch_op.drop_index(batch_op.f("ix_segment_guid"))
        batch_op.drop_index(batch_op.f("ix_segment_file_id"))
        batch_op.drop_index(batch_op.f("ix_segment_block_id"))

    op.drop_table("segment")
    with op.batch_alter_table("recordingchannelgroup", schema=None) as batch_op:
        batch_op.drop_index("uq_recordingchannelgroup_source")
        batch_op.drop_index(batch_op.f("ix_recordingchannelgroup_owner_id"))
        batch_op.drop_index(batch_op.f("ix_recordingchannelgroup_name"))
        batch_op.drop_index(batch_op.f("ix_recordingchannelgroup_guid"))
        batch_op.drop_index(batch_op.f("ix_recordingchannelgroup_file_id"))
        batch_op.drop_index(batch_op.f("ix_recordingchannelgroup_block_id"))

    op.drop_table("recordingchannelgroup")
    with op.batch_alter_table("unit", schema=None) as batch_op:
        batch_op.drop_index("uq_unit_source")
        batch_op.drop_index(batch_op.f("ix_unit_owner_id"))
        batch_op.drop_index(batch_op.f("ix_unit_name"))
        batch_op.drop_index(batch_op.f("ix_unit_guid"))
        batch_op.drop_index(batch_op.f("ix_unit_file_id"))

    op.drop_table("unit")
    with op.batch_alter_table("datafile", schema=None) as batch_op:
        batch_op.drop_index("uq_datafile_source")
        batch_op.drop_index(batch_op.f("ix_datafile_owner_id"))
        batch_op.drop_index(batch_op.f("ix_datafile_guid"))
        batch_op.drop_index(batch_op.f("ix_datafile_file_id"))

    op.drop_table("datafile")
    with op.batch_alter_table("block", schema=None) as batch_op:
        batch_op.drop_index("uq_block_source")
        batch_op.drop_index(batch_op.f("ix_block_owner_id"))
        batch_op.drop_index(batch_op.f("ix_block_name"))
        batch_op.drop_index(batch_op.f("ix_block_guid"))
        batch_op.drop_index(batch_op.f("ix_block_file_id"))

    op.drop_table("block")
    op.drop_table("user_account")
    op.drop_table("stored_file")
