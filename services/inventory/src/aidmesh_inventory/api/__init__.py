"""The HTTP API: thin; what it asks for is decided and done in `handlers`."""
