"""What the API shows. Reads only."""
