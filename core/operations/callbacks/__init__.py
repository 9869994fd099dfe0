"""What is known and done about callbacks, other than sending them."""
