"""`log`: who is told of every chunk of a run. flowsim registers none here; a plugin does."""
