"""The public face of target plug-ins."""
