"""Every SQL statement of intake, by aggregate."""
