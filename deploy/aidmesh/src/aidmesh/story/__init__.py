"""The story of an id: what was said of it, who took it in, and what it waits for."""
