"""Which job runs next: slots, circuit breakers, and tasks in RQ's queues."""
