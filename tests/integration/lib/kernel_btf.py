# SPDX-License-Identifier: Apache-2.0
"""The BTF of a kernel that does not run here, out of its bzImage (Documentation/arch/x86/boot.rst)."""

import lzma
import struct
import subprocess

LZ4 = b"\x02\x21\x4c\x18"
XZ = b"\xfd7zXZ"


def _payload(image):
    """The compressed ELF file in a bzImage."""
    if image[0x202:0x206] != b"HdrS":
        raise ValueError("no bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return image[start : start + length]


def _unpacked(payload):
    if payload.startswith(XZ):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(LZ4):
        # The image's size follows the frame: the program says so at the end, having written everything.
        return subprocess.run(["lz4", "-dc"], input=payload, capture_output=True, check=False).stdout
    raise ValueError(f"compressed in an unknown way: {payload[:4].hex()}")


def _section(elf, wanted):
    offset = struct.unpack_from("<Q", elf, 0x28)[0]
    count, names = struct.unpack_from("<HH", elf, 0x3C)
    headers = [struct.unpack_from("<IIQQQQIIQQ", elf, offset + 64 * i) for i in range(count)]
    for header in headers:
        start = headers[names][4] + header[0]
        if elf[start : elf.index(b"\0", start)] == wanted:
            return elf[header[4] : header[4] + header[5]]
    raise ValueError(f"no section {wanted.decode()}")


def kernel_btf(path):
    """The content of .BTF of the kernel in the bzImage at `path`; ValueError."""
    with open(path, "rb") as f:
        return _section(_unpacked(_payload(f.read())), b".BTF")
