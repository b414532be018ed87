"""What stands still until two people have looked, and what a hold reaches."""
