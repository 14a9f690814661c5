"""Alerts: what the rules of alert_rules say of the queue, and who is told of it.

Measured, compared and remembered in SQL (evaluate_alerts); told by the library Apprise.
"""
