"""Values and documents as people write them, and what becomes of them: held against kubectl, and against lint."""

import json
from typing import Any

_SCALARS = """
1 0 -0 +5 007 0o1750 0O17 017 -017 08 09 0o8 0x10 0XfF -0x1 0x 0b101 0b -0b11 0b2 1_000 1__0 _1 0_7 1e 1e3 1E3 1e+3
1e-2 1e-3 1e-12 12e4 9e2 1.0e+3 1000.0 1.5 1. .5 +.5 -.5 .5e3 .e3 . .. -. - + 5. 5.e1 1e400 1e300 1e21 1e20
123456789012345678901 9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616
-9223372036854775808 -9223372036854775809 +18446744073709551615 16:40 10:30 1:2:3 -1:30 190:20:30.15 y Y n N yes Yes
YES no on On ON off OFF true True TRUE tRUE false null Null NULL ~ nil None .infinity 2020-01-01 2020-1-2 2020-13-45
2020-01-01T00:00:00Z 2020-01-01t00:00:00+01:00 = != 32e9 1e1 1_0.5 1,000 0.1.2 1e5f 0x1p-2 1e-400 4.9e-324
0.30000000000000004 1e6 123456.7
"""
SCALARS = _SCALARS.split()
"""Plain scalars, one by one; kubectl reads each."""

NO_JSON = [".nan", ".NaN", ".inf", "-.Inf", "+.INF"]
"""Plain scalars that kubectl refuses."""

PLAIN = {
    "a tab behind a colon": "v:\t1000\n",
    "tabs around a value": "v: \tx \t\n",
    "a tab in a word": "v: a\tb\n",
    "a date with a space": "v: 2020-01-01 10:00:00\n",
    "slashes": "v: [\"a\\\\/b\", 'a\\/b', a\\/b]\n",
    "quoted": "v: ['1e3', \"y\", '0o17', \"\"]\n",
    "tagged": "v: [!!str 5, !!str y, !!float 1, !!int 0o17, !!bool y, !!null ~, !!float 1e3, !!timestamp 2020-01-01]\n",
    "tags that nobody knows": "v: [!own x, !own {a: 1}, !own [1], !!python/object:os.system {}, !!set {a: }]\n",
    "binary": "v: [!!binary aGVsbG8=, !!binary /w==]\n",
    "keys": "v: {1: a, 0x10: a, y: a, n: a, 1.5: a, 1e6: a, 2020-01-01: a, '1e3': a, =: a}\n",
    "anchors": "v: {a: &x {b: 1}, c: *x, d: [*x, *x]}\n",
    "merged behind": "v: {a: 1, <<: {a: 2, b: 3}}\n",
    "merged before": "v: {<<: {a: 2, b: 3}, a: 1}\n",
    "several merged": "v: {<<: [{a: 1}, {a: 2, b: 2}]}\n",
    "a quoted merge": "v: {'<<': {a: 2}}\n",
    "text": "v: |\n  1e3\n  y\n",
    "folded": "v: >-\n  1e3\n",
    "empty": "v:\n",
    "carriage returns": "v: 1\r\nw: y\r\n",
    "not ASCII": "v: ５\nw: é\n",
    "flow over lines": "v: {a: 1,\n b: [2,\n 3]}\n",
    "a comment": "v: 1 # 2\nw: 1#2\n",
    "more than aliases": "v: {? a : 1, ? b}\n",
}
"""YAML below a head, that kubectl reads."""

REFUSED = {
    "an anchor in itself": "v: &x {a: *x}\n",
    "base64 with too much behind it": "v: !!binary aGk1=\n",
    "a slash that is escaped": 'v: "a\\/b"\n',
    "a slash that is escaped, behind others": 'ü: "ä"\nv: {w: ["\\\\\\/"]}\n',
    "no base64": "v: !!binary '!'\n",
    "no whole number": "v: !!int x\n",
    "no truth value": "v: !!bool 1\n",
    "a null key": "v: {~: 1}\n",
    "a mapping as a key": "v: {{a: 1}: 2}\n",
    "a list as a key": "v: {[1]: 2}\n",
    "a merged word": "v: {<<: 1}\n",
    "not closed": "v: [\n",
    "an unknown anchor": "v: *x\n",
    "tabs for indentation": "v:\n\ta: 1\n",
    "an alias bomb": "v:\n  - &a ["
    + "1, " * 99
    + "1]\n"
    + "".join(
        f"  - &{name} [" + f"*{before}, " * 49 + f"*{before}]\n" for before, name in ("ab", "bc", "cd", "de", "ef")
    ),
    "behind the line": "v: 1\n--- {a: 2}\n",
}
"""YAML below a head, that kubectl refuses."""

HEAD = "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: thing}\n"


def as_json(value: Any, **form: Any) -> str:
    """Return an object with a head, as JSON."""
    head = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "thing"}}
    return json.dumps({**head, "v": value}, **form)


JSON_FILES = {
    "numbers": as_json([1e-12, 1000.0, 1e21, 5, -3, 0.1, 2**53]),
    "exponents": as_json("@").replace('"@"', "[1e3, 1E3, 1.50, -0, -0.0, 1e2, 12345678901234567890, 1e300]"),
    "tabs": as_json({"a": [1, {"b": 2}]}, indent="\t"),
    "words that YAML reads": as_json(["y", "1e3", "16:40", "~", ""]),
    "escapes": as_json('\u00e9\t"/'),
    "two in a row": as_json(1) + "\n" + as_json(2),
    "two without a blank": as_json(1) + as_json(2),
    "YAML behind it": as_json(1) + "\n---\n" + HEAD + "v: y\n",
    "YAML that begins like it": "{apiVersion: example.org/v1, kind: Thing, metadata: {name: thing}, v: y}\n",
    "a comma too many": "{apiVersion: example.org/v1, kind: Thing, metadata: {name: thing}, v: [1e3,],}\n",
    "no number": as_json("@").replace('"@"', "NaN"),
}
"""Files that begin as JSON does, which kubectl reads."""

FIELDS = {
    "schedule: {initialLearningRate: 1e-2}": True,
    "earlyStopping: {minDelta: 1e-3}": True,
    "schedule: {epochs: 1e3}": True,
    "schedule: {epochs: 1.0e+3}": True,
    "schedule: {epochs: 1000.0}": True,
    "schedule: {epochs: 9e2}": True,
    "schedule: {epochs: 0o1750}": True,
    "schedule: {epochs: 0x3e8}": True,
    "schedule: {epochs: 1_000}": True,
    "schedule: {epochs: 01750}": True,
    "schedule: {epochs: 0b1111101000}": True,
    "schedule: {epochs:\t1000}": True,
    "resources: {memory: 32e9}": True,
    "resources: {cpu: 1e1}": True,
    "suspend: y": True,
    "suspend: off": True,
    "trainer: {env: [{name: A, value: 10:30}]}": True,
    "trainer: {env: [{name: A, value: =}]}": True,
    "trainer: {env: [{name: A, value: 2026-01-01}]}": True,
    "trainer: {env: [{name: A, value: 0o8}]}": True,
    "folds: [0.0, 1e0]": True,
    "trainer: {seed: 007}": True,
    "schedule: {epochs: 16:40}": False,
    "schedule: {epochs: 1000.5}": False,
    "schedule: {epochs: 1e-1}": False,
    "schedule: {epochs: '1000'}": False,
    "schedule: {epochs: 0o1758}": False,
    "schedule: {epochs: .inf}": False,
    "trainer: {env: [{name: A, value: 12e4}]}": False,
    "trainer: {env: [{name: A, value: 08}]}": False,
    "trainer: {env: [{name: A, value: y}]}": False,
    "trainer: {env: [{name: A, value: 1_0}]}": False,
    "trainer: {className: No}": False,
    "suspend: 'true'": False,
    "suspend: 1": False,
    "y: 1": False,
}
"""Fields of a training as they may be written, and whether `kubectl create` takes them."""
FIELDS_JSON = {
    '"schedule": {"initialLearningRate": 1e-12}': True,
    '"schedule": {"epochs": 1e3}': True,
    '"schedule": {"epochs": 1000.0}': True,
    '"schedule":\t{"epochs":\t1000}': True,
    '"trainer": {"env": [{"name": "A", "value": "12e4"}]}': True,
    '"schedule": {"epochs": "16:40"}': False,
    '"schedule": {"epochs": 1000.5}': False,
    '"suspend": "y"': False,
}
"""The same in JSON."""
