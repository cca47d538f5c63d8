"""What notification decides: pure functions, the clock passed in."""
