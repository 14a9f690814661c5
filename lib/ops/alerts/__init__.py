"""Alerts: rules, evaluation and notification channels.

Rules are evaluated and alerts stored in SQL (evaluate_alerts); Apprise delivers notifications.
"""
