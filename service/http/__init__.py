"""Shared by all endpoints: authentication, problem documents, origins."""
