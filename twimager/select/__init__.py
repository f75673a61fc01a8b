"""Assign HRs to LRs, one to one."""
