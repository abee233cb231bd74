"""Accounts, jobs, uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "failed_login",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=150), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("moment", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_failed_login")),
    )
    with op.batch_alter_table("failed_login", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_failed_login_moment"), ["moment"], unique=False)
        batch_op.create_index(batch_op.f("ix_failed_login_username"), ["username"], unique=False)

    op.create_table(
        "leftover",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("remove_after", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_leftover")),
    )
    with op.batch_alter_table("leftover", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_leftover_remove_after"), ["remove_after"], unique=False)

    op.create_table(
        "login_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("expires", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_login_session_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_login_session")),
    )
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_session_expires"), ["expires"], unique=False)
        batch_op.create_index(batch_op.f("ix_login_session_user_id"), ["user_id"], unique=False)

    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("nbytes", sa.BigInteger(), nullable=False),
        sa.Column("part_nbytes", sa.BigInteger(), nullable=True),
        sa.Column("store_upload_id", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("remove_after", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_upload_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_upload_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_upload_remove_after"), ["remove_after"], unique=False)

    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("batch", sa.String(length=32), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("datafile_id", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run_after", sa.DateTime(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("date_created", sa.DateTime(), nullable=False),
        sa.Column("date_finished", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["datafile_id"], ["datafile.id"], name=op.f("fk_job_datafile_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_job_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_batch"), ["batch"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_datafile_id"), ["datafile_id"], unique=False)
        batch_op.create_index("ix_job_next", ["state", "priority", "id"], unique=False)

    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("quota_nbytes", sa.BigInteger(), nullable=True))

    op.add_column("stored_file", sa.Column("uploader_id", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_stored_file_uploader_id"), "stored_file", ["uploader_id"], unique=False)

    with op.batch_alter_table("spiketrain", schema=None) as batch_op:
        batch_op.alter_column("name", existing_type=sa.Text(), nullable=True)


def downgrade() -> None:
    op.execute("UPDATE spiketrain SET name = '' WHERE name IS NULL")
    with op.batch_alter_table("spiketrain", schema=None) as batch_op:
        batch_op.alter_column("name", existing_type=sa.Text(), nullable=False)

    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.drop_column("quota_nbytes")

    op.drop_index(op.f("ix_stored_file_uploader_id"), table_name="stored_file")
    op.drop_column("stored_file", "uploader_id")

    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("ix_job_next")
        batch_op.drop_index(batch_op.f("ix_job_datafile_id"))
        batch_op.drop_index(batch_op.f("ix_job_batch"))

    op.drop_table("job")
    with op.batch_alter_table("upload", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_upload_remove_after"))
        batch_op.drop_index(batch_op.f("ix_upload_owner_id"))

    op.drop_table("upload")
    with op.batch_alter_table("login_session", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_session_user_id"))
        batch_op.drop_index(batch_op.f("ix_login_session_expires"))

    op.drop_table("login_session")
    with op.batch_alter_table("leftover", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_leftover_remove_after"))

    op.drop_table("leftover")
    with op.batch_alter_table("failed_login", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_failed_login_username"))
        batch_op.drop_index(batch_op.f("ix_failed_login_moment"))

    op.drop_table("failed_login")
