"""Count actions: budgets, history trackers, stop rules, and uses of agents."""
