"""Examples of the OpenAPI document: bodies that are accepted, and answers to them."""
