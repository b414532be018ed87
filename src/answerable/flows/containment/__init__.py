"""Emergency stop (panic), lifting and following holds, and stopping an agent."""
