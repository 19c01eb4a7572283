"""What a mechanism does when nobody reads: measured in fresh pairs of processes that are watched.

An observer starts a writer, which makes the link and forks a reader (`pair`). The writer counts
its messages in memory that all three share (`board`), so the observer sees in the same way of every
mechanism that it is blocked: it sleeps, and its count and its turns on a CPU stand still (`watch`).
"""
