"""What a person looks at: the funnel, one sample's way, rows to browse, catalogues, and pages.

Nothing here changes anything; it reads finished runs, recipes and filters, and says what they are.
`result` is what Python is given of a run.
"""
