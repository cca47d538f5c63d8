"""Console: the web desk. It holds no truth."""
