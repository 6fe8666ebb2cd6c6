"""XXH3 (64 bits, no seed, default secret), as the algorithm's description has it, for inputs of 17 bytes
and more: no frame is shorter. Python's standard library has none.
"""

import struct

MASK = (1 << 64) - 1
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
MIX = 0x165667919E3779F9
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
STRIPE, STRIPES_A_BLOCK = 64, 16


def _words(data, at, count):
    return struct.unpack_from(f"<{count}Q", data, at)


def _fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def _avalanche(value):
    value ^= value >> 37
    value = value * MIX & MASK
    return value ^ (value >> 32)


def _mix16(data, at, secret_at):
    low, high = _words(data, at, 2)
    secret_low, secret_high = _words(SECRET, secret_at, 2)
    return _fold(low ^ secret_low, high ^ secret_high)


def _short(data):
    """17 to 128 bytes: pairs of 16 bytes, from both ends inwards."""
    size = len(data)
    total = size * P64[0]
    for pair in range((size - 1) // 32 + 1):
        total += _mix16(data, 16 * pair, 32 * pair)
        total += _mix16(data, size - 16 * (pair + 1), 32 * pair + 16)
    return _avalanche(total & MASK)


def _middle(data):
    """129 to 240 bytes."""
    size = len(data)
    total = size * P64[0] + sum(_mix16(data, 16 * i, 16 * i) for i in range(8))
    total = _avalanche(total & MASK)
    total += sum(_mix16(data, 16 * i, 16 * (i - 8) + 3) for i in range(8, size // 16))
    return _avalanche((total + _mix16(data, size - 16, 136 - 17)) & MASK)


def _accumulate(lanes, data, at, secret):
    for lane, (value, key) in enumerate(zip(_words(data, at, 8), secret)):
        key ^= value
        lanes[lane ^ 1] += value
        lanes[lane] = lanes[lane] + (key & 0xFFFFFFFF) * (key >> 32) & MASK


def _long(data):
    lanes = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]
    secrets = [_words(SECRET, 8 * stripe, 8) for stripe in range(STRIPES_A_BLOCK)]
    scramble = _words(SECRET, len(SECRET) - STRIPE, 8)
    size = len(data)
    for stripe in range((size - 1) // STRIPE):
        in_block = stripe % STRIPES_A_BLOCK
        _accumulate(lanes, data, stripe * STRIPE, secrets[in_block])
        if in_block == STRIPES_A_BLOCK - 1:
            for lane, key in enumerate(scramble):
                value = lanes[lane] & MASK
                lanes[lane] = (value ^ (value >> 47) ^ key) * P32[0] & MASK
    _accumulate(lanes, data, size - STRIPE, _words(SECRET, len(SECRET) - STRIPE - 7, 8))
    keys = _words(SECRET, 11, 8)
    mixed = [(lane & MASK) ^ key for lane, key in zip(lanes, keys)]
    pairs = zip(mixed[::2], mixed[1::2])
    return _avalanche((size * P64[0] + sum(_fold(a, b) for a, b in pairs)) & MASK)


def digest64(data):
    """The digest of `data`, as a number."""
    if len(data) < 17:
        raise ValueError("too short for a frame")
    if len(data) <= 128:
        return _short(data)
    return _middle(data) if len(data) <= 240 else _long(data)
