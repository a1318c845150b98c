"""Serves lambda_function.lambda_handler as the runtime interface emulator of AWS's images does, on a free port of 127.0.0.1, and prints the port.

https://docs.aws.amazon.com/lambda/latest/dg/images-test.html
"""
import json
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lambda_function import lambda_handler


class Invocation(BaseHTTPRequestHandler):
    def do_POST(self):
        if self.path != "/2015-03-31/functions/function/invocations":
            self.send_error(404)
            return
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(event["Step"], file=sys.stderr, flush=True)
        try:
            answer = json.dumps(lambda_handler(event, None))
        except Exception as raised:  # the runtime reports whatever is raised, with status 200
            traceback.print_exc()
            answer = json.dumps({"errorMessage": str(raised), "errorType": type(raised).__name__, "stackTrace": []})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Invocation)
print(server.server_port, flush=True)
sys.stdout.close()
server.serve_forever()
