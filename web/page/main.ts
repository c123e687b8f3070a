// SPDX-License-Identifier: MIT

document.querySelector("#app")!.textContent = "tinyvlm";
