"""UCLA ECE C147/C247's package `nndl`, grown from Stanford's CS231n: homeworks 2 to 5, on handgrad's pairs.

What it calls `utils` or, in some years, `cs231n` (solver, gradient check, data) is handgrad.courses.cs231n.
"""
