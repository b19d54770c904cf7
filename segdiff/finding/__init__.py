"""Which operator is it, why, how much does it matter, what mends it? The method, from files to a report."""
