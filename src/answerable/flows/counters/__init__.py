"""Count what actions use: budgets, history trackers, stop rules, approval uses."""
