"""What h5py reads of damaged files, each in a process of its own; reads questions from standard input as JSON."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import resource
import sys

import h5py
import numpy as np


def digest(array):
    """Return what tells arrays apart: shape, type but for the order of bytes, samples."""
    array = np.atleast_1d(array)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return [list(array.shape), array.dtype.str, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()]


def read(path, dataset):
    """Return the digest of a whole dataset, or the error of reading it."""
    name = dataset.encode()
    with h5py.File(path, "r") as file:
        found = h5py.h5o.open(file.id, codecs.escape_decode(name)[0] if b"\\" in name else name)
        dataset = h5py.Dataset(found)
        values = dataset[...]
        if dataset.dtype.kind == "O":
            texts = [one if isinstance(one, bytes) else one.encode() for one in np.atleast_1d(values).ravel()]
            values = np.array(texts, "S").reshape(np.atleast_1d(values).shape)
        return digest(values)


def main():
    for line in sys.stdin:
        question = json.loads(line)
        answers, answer = os.pipe()
        pid = os.fork()
        if not pid:
            resource.setrlimit(resource.RLIMIT_CPU, (5, 6))
            resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
            try:
                said = read(*question)
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
            os.write(answer, json.dumps(said).encode()[:60_000])
            os._exit(0)
        os.close(answer)
        with os.fdopen(answers, "rb") as told:
            said = told.read().decode()
        status = os.waitpid(pid, 0)[1]
        print(said or json.dumps(f"ended: {status}"), flush=True)


if __name__ == "__main__":
    main()
