"""What usage costs the operator, and how many credits it burns."""
