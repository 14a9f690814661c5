"""Maintenance: recurring tasks, purging, disk space, growth."""
