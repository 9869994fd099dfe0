"""The S3 bucket: client, keys, errors, and server capabilities."""
