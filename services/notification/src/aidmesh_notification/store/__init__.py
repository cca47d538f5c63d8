"""Every SQL statement of notification, set-based: `contacts` and `outbound`."""
