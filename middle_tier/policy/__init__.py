"""The operator's document: read with line numbers, kept in a bucket, followed by every gate."""
