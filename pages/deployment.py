"""How is this deployment reached, and with which keys?"""

import streamlit as st

from lib.dashboard import functions_url
from lib.service import project_keys
from lib.settings import settings

st.title("Deployment")

keys = project_keys(settings())
url = functions_url()

st.subheader("The functions")
st.text(f"{url}/functions/v1")

st.subheader("The keys")
st.caption("Callers send one in the apikey header or as Bearer token. Made on the first start.")
st.text("Publishable: names an application; may start generations.")
st.code(keys.publishable, language=None, wrap_lines=True)
st.text("Secret: allowed everything; for servers only.")
if st.toggle("Show the secret key"):
    st.code(keys.secret, language=None, wrap_lines=True)

st.subheader("Try it")
st.text("Start a generation:")
st.code(
    f"""curl {url}/functions/v1/start-generation \\
  -H 'apikey: {keys.publishable}' -H 'Content-Type: application/json' \\
  -d '{{"prompt": "A lighthouse at dusk", "model_id": "black-forest-labs/flux-schnell"}}'""",
    language="bash",
    wrap_lines=True,
)
st.text("Run the jobs that are due, as the cron schedule does:")
st.code(
    f"""curl -X POST {url}/functions/v1/process-jobs -H "apikey: $SECRET_KEY" """.rstrip(),
    language="bash",
    wrap_lines=True,
)
