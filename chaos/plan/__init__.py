"""What a run does: jobs, faults and kills, all derived from one seed."""
