"""The declared bounds of what flowsim stands on, tried: `python -m tests.versions lowest`."""
