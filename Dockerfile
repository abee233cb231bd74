# docker build -t ephystore . && docker run -p 8000:8000 -v ephystore:/data ephystore
FROM python:3.11-slim AS build
COPY requirements.txt requirements-worker.txt ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check -r requirements-worker.txt

FROM python:3.11-slim
# The number is fixed so that a mounted folder can be given to it: chown 10001 FOLDER
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin ephystore \
    && install -d -o ephystore -g ephystore /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv
COPY wsgi.py gunicorn.conf.py ./
COPY app app
COPY schemas schemas
COPY storage storage
COPY migrations migrations
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    EPHYSTORE_DATA=/data
USER 10001:10001
VOLUME /data
EXPOSE 8000
# SIGTERM lets answers under way finish, up to 30 s: docker stop --time 30
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["sh", "-c", "flask --app wsgi init && exec gunicorn -c gunicorn.conf.py --bind 0.0.0.0:8000 wsgi:app"]
