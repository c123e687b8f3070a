import os

freeze("modules")

# The device's Python package. The engine is there, so `pure` and what OpenMV needs are left out.
_DEVICE = "../../device/tinyvlm"
_WANTED = [
    name
    for name in sorted(os.listdir(_DEVICE))
    if name.endswith(".py") and not name.startswith(("pure", "lanes", "openmv"))
]
package("tinyvlm", files=_WANTED, base_path="../../device")
