"""One module for each step of a job; steps do no I/O of their own."""
