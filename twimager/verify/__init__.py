"""Verify an alignment by its pixels, and tell look-alikes apart."""
