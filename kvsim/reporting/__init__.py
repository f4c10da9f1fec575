"""What people see: printed tables, the report page, the trace for Perfetto, a run's files."""
