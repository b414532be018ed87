"""Request approval from people: build the request, route it to those on call, appoint deputies."""
