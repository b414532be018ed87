"""Each port in memory, honestly: same promises, same refusals, nothing that survives the process."""
