// SPDX-License-Identifier: MIT
//
// A button that works for as long as it is held: by finger, mouse, space bar or Enter. A screen
// reader's click, which has no end, is one short press.

export function hold(button: HTMLButtonElement, start: () => void, stop: () => void): void {
    let held = false;
    const begin = () => {
        if (!held && !button.disabled) {
            held = true;
            button.classList.add("held");
            start();
        }
    };
    const end = () => {
        if (held) {
            held = false;
            button.classList.remove("held");
            stop();
        }
    };
    button.addEventListener("pointerdown", (event) => {
        if (event.button === 0) {
            button.setPointerCapture(event.pointerId);
            begin();
        }
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
        button.addEventListener(type, end);
    }
    button.addEventListener("keydown", (event) => {
        if (event.key === " " || event.key === "Enter") {
            event.preventDefault();
            begin();
        }
    });
    button.addEventListener("keyup", (event) => {
        if (event.key === " " || event.key === "Enter") {
            event.preventDefault();
            end();
        }
    });
    button.addEventListener("click", (event) => {
        if (event.detail === 0) {
            begin();
            end();
        }
    });
    button.addEventListener("contextmenu", (event) => event.preventDefault());
}
