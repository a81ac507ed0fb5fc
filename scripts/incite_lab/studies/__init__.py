"""Studies of Incite: how good its modules are, on which models it works, and what becomes of the paper's results."""
