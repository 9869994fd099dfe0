"""What each measurement is compared with: the least that could do the job."""
