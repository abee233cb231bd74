"""A quick S3 on this machine: rclone's server, and a proxy that corrects it, delays and counts."""
