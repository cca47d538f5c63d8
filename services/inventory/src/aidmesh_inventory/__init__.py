"""Inventory: sites, stock, beds, slots, and what can be held."""
