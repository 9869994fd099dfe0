"""What a run does: jobs, faults and kills, all from one seed."""
