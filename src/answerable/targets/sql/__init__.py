"""What kinds of SQL servers share: settings, scopes, tools, rows of answers, and terms of leases."""
