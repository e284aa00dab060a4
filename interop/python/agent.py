"""The official Python client, and by it the C++ client, under remote control.

One JSON command per line on standard input, one JSON object per line on standard output: an answer with the
id of its command, or a message with the name of the consumer that received it.
"""

import base64
import json
import os
import sys
import threading

from rocketmq.client import Message, Producer, PushConsumer


def text(octets):
    return None if octets is None else octets.decode("utf-8")


class Lines:
    """Writes JSON lines to what was standard output; what libraries print goes to standard error."""

    def __init__(self):
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self._turn = threading.Lock()
        os.dup2(2, 1)

    def write(self, line):
        with self._turn:
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()


class Agent:
    def __init__(self, name_server):
        self._name_server = name_server
        self._lines = Lines()
        self._started = {}

    def serve(self):
        for line in sys.stdin:
            command = json.loads(line)
            answer = {"id": command["id"]}
            try:
                answer["ok"] = self._perform(command)
            except Exception as error:
                answer["error"] = repr(error)
            self._lines.write(answer)

    def _perform(self, command):
        verbs = {
            "producer": self._start_producer,
            "send": self._send,
            "consumer": self._start_consumer,
            "stop": self._stop,
        }
        return verbs[command["do"]](command)

    def _start_producer(self, command):
        producer = Producer(command["group"])
        producer.set_namesrv_addr(self._name_server)
        producer.start()
        self._started[command["name"]] = producer
        return True

    def _send(self, command):
        producer = self._started[command["producer"]]
        return [self._send_one(producer, command["mode"], message) for message in command["messages"]]

    @staticmethod
    def _send_one(producer, mode, envelope):
        message = Message(envelope["topic"])
        message.set_body(base64.b64decode(envelope["body"]))
        if envelope["tags"]:
            message.set_tags(envelope["tags"])
        if envelope["keys"]:
            message.set_keys(envelope["keys"])
        if mode == "oneway":
            producer.send_oneway(message)
            return {}
        try:
            result = producer.send_sync(message)
        except Exception as error:
            return {"error": repr(error)}
        status = "SEND_OK" if result.status.name == "OK" else result.status.name
        return {"status": status, "msgId": result.msg_id, "offset": result.offset}

    def _start_consumer(self, command):
        consumer = PushConsumer(command["group"], orderly=command["orderly"])
        consumer.set_namesrv_addr(self._name_server)
        consumer.set_instance_name(command["name"])

        def received(message):
            self._lines.write(
                {
                    "consumer": command["name"],
                    "refused": False,
                    "message": {
                        "topic": message.topic,
                        "queue": message.queue_id,
                        "offset": message.queue_offset,
                        "msgId": message.id,
                        "tags": text(message.tags),
                        "keys": text(message.keys),
                        "flag": 0,
                        "reconsumeTimes": message.reconsume_times,
                        "properties": {},
                        "body": base64.b64encode(message.body).decode("ascii"),
                    },
                }
            )

        consumer.subscribe(command["topic"], received, command["tags"])
        consumer.start()
        self._started[command["name"]] = consumer
        return True

    def _stop(self, command):
        self._started.pop(command["name"]).shutdown()
        return True


if __name__ == "__main__":
    Agent(sys.argv[1]).serve()
    # The client's threads may not end.
    os._exit(0)
