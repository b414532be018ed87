"""What is counted of actions: budgets, trackers, stop rules, uses."""
