"""The other services as the desk sees them: over HTTP, as whoever is signed in."""
