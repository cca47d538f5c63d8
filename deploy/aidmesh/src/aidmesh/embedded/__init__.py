"""Real PostgreSQL and NATS servers from wheels, for one machine and no root."""
