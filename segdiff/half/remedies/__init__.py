"""What to do about the cost of half precision? Exact rewrites, and the operators to keep in float32."""
