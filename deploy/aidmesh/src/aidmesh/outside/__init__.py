"""A region whose PostgreSQL, NATS and services somebody else runs: containers, see compose.yaml."""
