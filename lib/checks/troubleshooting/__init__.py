"""What is wrong, the likeliest cause first, and what repairs it.

- `pending`, `immediate_failures`, `stuck`, `failure_rate`, `realtime`, `duplicates`, `slow`: one
  symptom each; one check is one entry there, one function and one test.
- `catalogue`: all symptoms, and running their checks.
- `indexes`: the indexes that the queue needs.
"""
