"""What can be asked of ``segdiff`` on a command line? One module a command."""
