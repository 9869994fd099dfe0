"""The S3 bucket: the one client, keys, errors, and what a server can do."""
