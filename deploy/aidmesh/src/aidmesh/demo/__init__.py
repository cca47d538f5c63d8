"""The year 2024: a synthetic scenario fitted to public totals, and its player."""
