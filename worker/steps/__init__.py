"""The steps of a job, one module each. All I/O goes through the clients in `Deps`."""
