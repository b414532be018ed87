"""Counters of actions: budgets, trackers, stop rules and uses of agents."""
