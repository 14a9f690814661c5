# The functions and a worker; with another command the control room, or workers alone:
#   docker run darkroom python -m lib.worker
#   docker run darkroom streamlit run app.py --server.address 0.0.0.0    (with sign-in: docs/operating.md)
FROM python:3.12-slim
WORKDIR /darkroom
# As process 1 Python would ignore SIGTERM until it has set its handlers, a second after the start.
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["tini", "--"]
COPY requirements.txt .
# Without what only the tests need.
RUN sed '/^# ----/,$d' requirements.txt > /tmp/run.txt && pip install --no-cache-dir -r /tmp/run.txt
COPY . .
RUN useradd --create-home darkroom && mkdir .darkroom && chown darkroom .darkroom
USER darkroom
EXPOSE 8080
# Whether it answers at all: /healthz says 503 while an alert is critical, which no restart mends.
HEALTHCHECK CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8080), 3)"]
CMD ["uvicorn", "lib.asgi:app", "--host", "0.0.0.0", "--port", "8080"]
