"""The platform broken on purpose, on one machine: does the right page reach a person, and end once it is repaired?"""
