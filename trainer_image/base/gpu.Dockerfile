# The base for GPUs: PyPI's CUDA build of torch and its torchvision on the Debian of base/Dockerfile, with the C compiler and
# Python's headers that torch.compile needs while a training runs. `make lock` renews the lock.
ARG DEBIAN
FROM ${DEBIAN}
COPY torch.lock /tmp/
# Into Debian's folder for what is not Debian's, where the trainer's venv finds it (--system-site-packages).
RUN --mount=type=secret,id=ca,target=/run/host-ca.crt \
    if [ -s /run/host-ca.crt ]; then export PIP_CERT=/run/host-ca.crt; fi \
    && python3 -m venv /tmp/pip \
    && /tmp/pip/bin/pip --python /usr/bin/python3 install --no-cache-dir --disable-pip-version-check --break-system-packages \
        --no-deps --require-hashes -r /tmp/torch.lock \
    && rm -rf /tmp/pip /tmp/torch.lock
