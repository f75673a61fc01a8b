# Twimager in a container:  docker build -t twimager .
#   docker run -u "$(id -u):$(id -g)" -v "$PWD:/data" twimager --lr LR --hr HR --dest pairs
# OpenCV is the build without windows, which needs no system libraries; `review` and `serve` open no browser in here.
FROM python:3.12-slim
COPY . /src
RUN sed 's/^opencv-python>/opencv-python-headless>/' /src/requirements.txt > /requirements.txt \
    && pip install --no-cache-dir -r /requirements.txt \
    && pip install --no-cache-dir --no-deps /src \
    && rm -r /src
WORKDIR /data
ENTRYPOINT ["twimager"]
