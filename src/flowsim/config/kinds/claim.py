"""`claims`: statements that `flowsim verify` judges. Kinds are registered where the claims are."""
