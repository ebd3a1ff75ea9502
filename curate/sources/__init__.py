"""What comes in: questions, and the only makers of rows.

`generate` samples a teacher, `import_` reads what teachers wrote, `gold` takes the solutions that
questions came with. `questions/` is the other table, `tables/` reads files of any format.
"""
