"""All Streamlit code except the pages themselves.

- `dashboard`: cached queries, database errors, the current user, time formats.
- `live`: a page's auto-refreshing panel. `confirm`: confirmation dialogs and their results.
- `navigation`, `search`, `tab`: the frame around every page.
- `charts`, `tiles`, `columns`, `selection`, `export`, `time_range`, `images`: what pages draw.
- `access`: sign-in and roles.
- `parts`: components too large for their page's file.
"""
