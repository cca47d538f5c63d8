"""One module per command or group. What is heavy is imported inside the functions: the whole
help must come up at once."""
