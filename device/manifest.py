metadata(
    version="0.2.0",
    description="Zero-shot vision on microcontrollers",
    license="MIT",
    author="the tinyvlm authors",
)

package("tinyvlm", base_path=".")
