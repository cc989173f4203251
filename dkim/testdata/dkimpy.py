# Verifies the messages named *.eml in a directory with dkimpy, against the records in
# records.json, and prints for each whether its signatures are good, from the top down.
import json
import pathlib
import sys

import dkim

directory = pathlib.Path(sys.argv[1])
records = json.loads((directory / "records.json").read_text())


def lookup(name, timeout=5):
    return records.get(name.decode().rstrip("."), "").encode()


def verdict(content, i):
    try:
        return str(dkim.DKIM(content).verify(idx=i, dnsfunc=lookup))
    except Exception as err:
        return repr(err)


for path in sorted(directory.glob("*.eml")):
    content = path.read_bytes()
    header = b"\r\n" + content.split(b"\r\n\r\n")[0]
    signatures = header.count(b"\r\nDKIM-Signature:")
    print(path.name, *(verdict(content, i) for i in range(signatures)))
