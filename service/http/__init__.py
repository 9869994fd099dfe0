"""What endpoints share: authentication, problem documents, origins."""
