# SPDX-License-Identifier: Apache-2.0
"""Files as `torch.save` writes them, without torch: a vector, or a dict of vectors."""

import io
import pickle
import zipfile

import numpy as np

_TYPES = {"f4": "FloatStorage", "i8": "LongStorage"}


def save(value, path, version=b"3\n"):
    """Write one vector or a dict of them; float32 or int64."""
    storages = []
    body = b"\x80\x02" + _pickled(value, storages) + b"."
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", body)
        archive.writestr("archive/byteorder", b"little")
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage.tobytes())
        archive.writestr("archive/version", version)
    path.write_bytes(data.getvalue())


def _pickled(value, storages):
    if isinstance(value, dict):
        items = b"".join(_plain(key) + _pickled(each, storages) for key, each in value.items())
        return b"}(" + items + b"u"
    return _tensor(np.asarray(value), storages)


def _tensor(array, storages):
    kind = _TYPES[array.dtype.str[1:]]
    storage = b"(" + _plain("storage") + f"ctorch\n{kind}\n".encode()
    storage += _plain(str(len(storages))) + _plain("cpu") + _plain(array.size) + b"tQ"
    storages.append(array)
    rest = _plain(0) + _plain((array.size,)) + _plain((1,)) + _plain(False)
    ordered = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + ordered + b"tR"


def _plain(value):
    return pickle.dumps(value, 2)[2:-1]
