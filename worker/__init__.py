"""The private process: everything slow. RQ runs its tasks; a loop of its own runs the sweep."""
