"""What both processes do with jobs and accounts, on top of the store."""
