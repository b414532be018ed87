"""The only place that knows everything: from settings to ready flows."""
