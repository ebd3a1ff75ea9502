"""What a person looks at: funnel, one sample's way, rows to browse, scores, catalogues, pages.

Nothing here changes anything; it reads finished runs, recipes and filters, and says what they are.
`result` is what Python is given of a run.
"""
