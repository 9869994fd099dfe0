"""What people see of jobs, models and batches."""
