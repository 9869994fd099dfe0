"""Which job goes next: slots, circuit breakers, and the tasks in RQ's queues."""
