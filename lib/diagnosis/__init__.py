"""What is wrong, why most likely, and what repairs it.

- `finding`: what a check is, what it finds, and what repairs it.
- `pending`, `at_once`, `stuck`, `failure_rate`, `realtime`, `duplicates`, `slow`: one symptom
  each; one check is one entry there, one function and one test.
- `catalogue`: all symptoms, and looking at them.
- `indexes`: the indexes that the queue needs.
"""
