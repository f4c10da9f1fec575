"""What a run means: figures, tables and occupancy, from its records alone."""
