"""Demonstration data: half a year of a business that never was, as the product would have written it."""
