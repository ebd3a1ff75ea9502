"""``curate report``: one HTML file that says where every sample went and why.

Numbers come from every row of a finished run, texts from a stratified few; nothing on the page
reaches out for anything. `audit` reads the run, `what_if`, `frontier` and `projection` compute what
no column holds, `figures` and `charts` draw it, `page` writes it down.
"""
