"""Events, wire types and shared rules. Pydantic only, no I/O."""
