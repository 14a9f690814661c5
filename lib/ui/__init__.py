"""Everything that imports Streamlit, apart from the pages themselves.

- `dashboard`: how pages read the database and who is acting.
- `live`: a page's live panel. `confirm`: the question before an action, and its report.
- `navigation`, `search`, `tab`: what surrounds every page.
- `charts`, `tiles`, `columns`, `selection`, `export`, `time_range`, `images`: what pages draw.
- `access`: who may see and do what.
- `parts`: larger parts of single pages.
"""
