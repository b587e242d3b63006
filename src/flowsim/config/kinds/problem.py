"""`problem`: a whole problem of one's own, instead of task, model, init and loss.

flowsim registers none: anything that `flowsim.Problem.from_loss` can do can be an experiment file by a plugin's kind.
"""
