"""What a node refused to trust, on its way to the audit log at the cloud."""
