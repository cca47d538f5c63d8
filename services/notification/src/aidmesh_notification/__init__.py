"""Notification: whether, how and when a message may be sent."""
