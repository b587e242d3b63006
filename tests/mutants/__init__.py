"""Small planted faults, and the tests that notice them: `python -m tests.mutants`."""
