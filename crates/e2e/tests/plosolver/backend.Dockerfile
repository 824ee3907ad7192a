FROM python:3.11-slim
WORKDIR /app
COPY equity_server.py ./backend/
EXPOSE 5001
CMD ["python", "backend/equity_server.py"]
