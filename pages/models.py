"""How does each model do?"""

import streamlit as st

st.title("Models")
