// SPDX-License-Identifier: MIT
//
// What the user is told about a board, in one place. Each says what is wrong and what to do.

const kb = (bytes: number) => `${Math.ceil(bytes / 1024)} KB`;

export const sentences = {
    busyPort:
        "The board's port is used by another program or tab; close it (a terminal, Thonny, mpremote) and connect again.",
    silent:
        "No answer: is it the right port, and is the board running? Press its reset button and connect again.",
    notPython: (heard: string) =>
        `This answers, but not as MicroPython does (“${heard}”); put MicroPython on the board first, tinyvlm-flash does that.`,
    circuitPython: (version: string) =>
        `This board runs CircuitPython ${version}, which lets a PC write files on its drive only: ` +
        "download the vocabulary and copy it onto the drive CIRCUITPY.",
    openmv:
        "This is an OpenMV camera, which takes the encoder in a form of its own from its drive: " +
        "download the vocabulary, then run tinyvlm-deploy NAME.tvp --openmv.",
    espVision:
        "This board runs ESP-VISION, which takes the encoder in a form of its own from its drive: " +
        "download the vocabulary, then run tinyvlm-deploy NAME.tvp --openmv.",
    otherPython: (name: string) =>
        `This board runs ${name}, and the page knows MicroPython only: download the vocabulary and copy it there by hand.`,
    gone: "The board was unplugged",
    stuck: "The board does not answer any more (unplugged?)",
    garbled: "The board's answer was garbled (another cable?)",
    // What to tell when the board is lost, by what was being done.
    lost: {
        look: "nothing was changed",
        copy: "nothing was replaced, what was on the board still works",
        romfs: "its ROMFS is empty until all of it is written, the vocabularies are as before",
        switch: "each file on it is the old or the new one, complete",
        test: "everything is in place, only the self-test is missing",
        run: "the program had begun, the files are as they were",
    },
    again: "Connect it and try again.",
    occupied: "The board is busy; stop the program that runs on it first, or wait.",
    closed: "The board is not connected any more; connect it again.",
    controls: "The program contains control characters, which the board's prompt takes for commands; remove them.",
    badName: (path: string) => `“${path}” is no name for a file on a board; rename it.`,
    twice: (path: string) => `Two files are to become ${path} on the board; leave one out.`,
    damaged: (path: string) => `${path} is damaged or incomplete; make it or download it again.`,
    encoders: "The board has a place for one encoder; choose one.",
    noEncoder: "The board has no encoder, without which it sees nothing; send one along.",
    otherEncoder: (path: string, theirs: string, ours: string) =>
        `The board has another encoder (${path}, ${theirs}) than these words were made for (${ours}); ` +
        "replace it, or make the words again for the board's.",
    misfit: (path: string, its: string, there: string, fingerprint: string) =>
        `${path} was made for the encoder ${its}, ${there} (${fingerprint}); make it again for that one.`,
    romfsFull: (need: number, have: number) =>
        `The board's ROMFS has ${kb(have)}, and ${kb(need)} are needed; nothing was changed. A smaller encoder fits.`,
    full: (need: number, have: number) =>
        `No space: ${kb(need)} are needed, ${kb(have)} are free on the board; delete files there. Nothing was changed.`,
    wasFull: "No space left on the board; nothing was replaced. Delete files there.",
    sumDiffers: (path: string) =>
        `${path}: its checksum differs on the board; nothing was replaced. Try again, or another USB cable.`,
    romfsDiffers: "The encoder's checksum differs on the board; send it again.",
    otherFirst: (path: string) =>
        `The board finds ${path} first, another encoder; remove it there: mpremote rm :${path}`,
    noSelfTest: (why: string) => `No self-test: ${why}`,
    selfTestFailed: (why: string) => `The self-test failed: ${why}`,
    onBoard: (path: string, why: string) => `${path} on the board: ${why}`,
    asciiOnly: (path: string) => `${path}: ROMFS wants names in ASCII; rename the file.`,
};
