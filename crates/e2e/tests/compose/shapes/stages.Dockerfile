FROM localhost/mainstay-test/tiny:1 AS builder
ARG STAGE=none
RUN mkdir /made && echo "made for $STAGE" > /made/index.html

FROM localhost/mainstay-test/tiny:1 AS runtime
COPY --from=builder /made /www
EXPOSE 8000
CMD ["httpd", "-f", "-p", "8000", "-h", "/www"]

FROM runtime AS debug
CMD ["false"]
