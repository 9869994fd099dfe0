"""The paths of the OpenAPI document, a module for each group of endpoints."""
