"""Troubleshooting: finds the causes of a symptom, most likely first, and offers repairs.

- `pending`, `immediate_failures`, `stuck`, `failure_rate`, `realtime`, `duplicates`, `slow`: one
  symptom each; every check is one entry there, one function and one test.
- `symptom`: what a symptom is.
- `catalogue`: all symptoms, and running their checks.
- `indexes`: builds an index that the queue needs.
"""
