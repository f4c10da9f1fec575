"""What it costs in answers: a real decoder whose KV cache is real, in numpy alone."""
