// SPDX-License-Identifier: MIT
//
// All that the page says, in English. What engine, words and board say of a file comes from there.

export const percent = (share: number) => `${Math.round(100 * share)} %`;
const plural = (count: number, one: string, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
const kb = (bytes: number) => (bytes < 10000 ? `${bytes} bytes` : `${(bytes / 1000).toFixed(0)} KB`);

// What tinyvlm-pack advises and the page does not have, for what it has instead.
const onPage = (text: string) => text.replace(/or use --text-encoder sentence/, "or show it by its button below");

export const S = {
    title: "tinyvlm",
    tagline: "Type words, and see what a microcontroller would call what it sees.",
    privacy: "All of it runs in this page. Nothing is sent anywhere.",

    loading: {
        engine: "Starting the engine …",
        encoder: "Opening the encoder …",
        lexicon: "Unpacking the words …",
        failed: (why: string) => `The page could not start: ${why}. Reload it; if that does not help, use a newer browser.`,
        old: "This browser is too old for the page (it lacks WebAssembly or unpacking). Use a current Chrome, Edge, Firefox or Safari.",
    },

    picture: {
        heading: "Picture",
        camera: "Camera",
        stopCamera: "Stop camera",
        whichCamera: "Which camera",
        cameraNumber: (n: number) => `Camera ${n}`,
        photos: "Photos …",
        folder: "Folder …",
        drop: "Drop photos or a folder anywhere here. ",
        strip: "Photos to look at",
        sample: (name: string) => `Sample photo: ${name}`,
        own: (name: string) => `Photo: ${name}`,
        where: "Where",
        whereHint: "Draw boxes around what is found",
        square: "The board sees the bright square.",
        noPhotos: "There was no photo in it. Photos are JPEG, PNG, WebP or GIF files.",
        badPhoto: (name: string) => `${name} cannot be read as a photo. Try it as JPEG or PNG.`,
        live: "Live picture of the camera",
        still: (name: string) => `Photo ${name}`,
    },

    camera: {
        insecure:
            "A browser gives the camera to safe pages only: open tinyvlm.html from disk, or by tinyvlm-studio (http://localhost). Photos work everywhere.",
        denied:
            "The camera is not allowed here. Allow it by the camera sign beside the page's address, then press Camera again. Photos work without.",
        none: "No camera was found. Plug one in and press Camera again, or use photos.",
        busy: "The camera is in use by another program. Close that program, then press Camera again.",
        ended: "The camera was unplugged or switched off. Press Camera to start it again.",
        other: (why: string) => `The camera does not start (${why}). Press Camera to try again, or use photos.`,
    },

    words: {
        heading: "Words",
        label: "What can be in front of the camera? One word a line, or with commas.",
        hint: "“dog: puppy, hound” shows dog and looks for the words behind the colon. English nouns work best.",
        line: (n: number, text: string) => (n ? `Line ${n}: ${onPage(text)}` : text),
        instead: (text: string) => `Use “${text}”`,
        part: (here: number, all: number) =>
            `The page itself has the vectors of ${here.toLocaleString("en")} of ${all.toLocaleString("en")} names. ` +
            "A release's lexicon.bin has all: choose it, or drop it here.",
        choose: "lexicon.bin …",
        fetching: "Fetching all words …",
        broken: (why: string) => `lexicon.bin did not arrive (${why}). Reload the page to try it again; all else works.`,
        start: "cat\ncoffee\nflower\nmotorcycle\nperson\nrocket",
    },

    answers: {
        heading: "Answers",
        none: "No words yet: write one above.",
        unknown: "unknown",
        verdictUnknown: "unknown: none of the words",
        notKnown: "not known here; show it",
        heat: "Heat",
        heatOf: (label: string) => `Heat map of ${label}`,
        show: "Show it",
        showOf: (label: string) => `Show it: hold for ${label}`,
        shots: (n: number) => `shown ${plural(n, "time")}`,
    },

    speed: {
        here: (fps: number, ms: number) => `${fps.toFixed(0)} frames/s here (${ms.toFixed(0)} ms each)`,
        once: (ms: number) => `${ms.toFixed(0)} ms here`,
        board: (fps: number) => `about ${fps.toFixed(0)} frames/s on an STM32H7 at 480 MHz (estimated)`,
        engine: (simd: boolean, name: string) => `encoder ${name}, ${simd ? "SIMD" : "plain"} WebAssembly`,
    },

    unknown: {
        heading: "Unknown",
        lead: "What shows none of your words should be called unknown. How careful?",
        names: { cautious: "Cautious", balanced: "Balanced", eager: "Eager", off: "Off" },
        threshold: "Least score that counts",
        value: (threshold: number, fitted: boolean) => `${threshold.toFixed(2)}${fitted ? " (fitted)" : ""}`,
        reset: "As fitted",
        rates: (right: number, unknown: number, wrong: number, named: number) =>
            `Of 100 frames that show one of these words, about ${right} are named right, ${unknown} unknown, ${wrong} wrong; ` +
            `of 100 that show none, ${named} are named.`,
        ratesOff: (right: number) =>
            `Of 100 frames that show one of these words, about ${right} are named right; none is unknown.`,
        moved: "You moved the threshold, so these figures are those of the fitted one.",
    },

    size: {
        heading: "Size",
        dims: "Dimensions of each word",
        value: (dim: number, bytes: number) => `${dim} dimensions, ${bytes} bytes`,
        lead: "Any first part of an embedding is one, too. Fewer dimensions: a smaller file, a faster comparison, worse answers.",
        chart: (rows: string) => `Named right, of 100 frames, by dimensions: ${rows}`,
        chartTitle: "named right of 100, expected",
        confused: "Words that will be confused",
        pair: (a: string, b: string, cosine: number) => `${a} and ${b} (cosine ${cosine.toFixed(2)})`,
        advice: "Use one word for both, other words, or more dimensions.",
        nearest: (a: string, b: string, cosine: number) =>
            `No two words are likely to be confused. The nearest: ${a} and ${b} (cosine ${cosine.toFixed(2)}).`,
        more: (n: number) => `and ${n} more`,
    },

    show: {
        heading: "Show it",
        lead: "Where a word fails, show the thing: hold “Show it” beside a word while the camera sees it. A word counts as five shots.",
        newLabel: "Show something that has no word",
        newHint: "my mug",
        add: "Show it",
        holding: (label: string, n: number) => `${label}: ${plural(n, "shot")}`,
        shots: (n: number) => `${plural(n, "shot")} in all`,
        undo: "Undo the last",
        forget: "Forget all",
        curve: "How sure the page was of each shot before it learned it",
        curveOf: (label: string, n: number, first: number, last: number) =>
            `${label}: ${plural(n, "shot")}, the first was known with ${percent(first)}, the last with ${percent(last)} before it was added`,
        axis: "shots",
        noName: "Give it a name first.",
        unknownName: "“unknown” is what shows none of the words; take another name.",
        needsWord: "A vocabulary begins with a word: write one that the lexicon knows, then show things.",
    },

    tests: {
        heading: "Test",
        lead: "How good is it where it will be used? Choose a folder with one folder of photos a word, called like it, and one called “other” for what shows none.",
        choose: "Choose a folder …",
        drop: "or drop it here",
        running: (done: number, all: number) => `${done} of ${all} photos`,
        stop: "Stop",
        again: "Test again",
        rates: (shown: number, right: number, unknown: number, wrong: number) =>
            `Of ${plural(shown, "photo")} that ${shown === 1 ? "shows" : "show"} a word, ${right} named right (${percent(right / shown)}), ${unknown} unknown, ${wrong} wrong.`,
        none: (none: number, named: number) =>
            `Of ${plural(none, "photo")} that ${none === 1 ? "shows" : "show"} none, ${named} named (${percent(named / none)}).`,
        caption: "Rows: the folder. Columns: what it was called.",
        corner: "folder",
        mistakes: "Mistakes",
        mistake: (name: string, truth: string, said: string, score: number) => `${name}: ${truth}, called ${said} (${percent(score)})`,
        noMistakes: "No mistakes.",
        unread: (n: number) => `${plural(n, "file")} could not be read as a photo and ${n === 1 ? "was" : "were"} left out.`,
        noFolders: "These photos lie in no folder that could be their word. Make one folder a word, and choose the folder above them.",
        others: (names: string) => `No words of the list, so they count as “none of them”: ${names}.`,
        stale: "The words have changed since; test again.",
        more: (n: number) => `${n} more are not shown.`,
    },

    take: {
        heading: "Take it along",
        download: (bytes: number) => `Download words.tvp (${bytes} B)`,
        without: (labels: string) => `Not in it: ${labels}.`,
        downloadLead: "The file that the board reads; the same bytes as tinyvlm-pack makes, and what you showed.",
        nothing: "Write a word first; then there is a file to take along.",
        byHand: "Onto a board that has tinyvlm:",
        command: "mpremote cp words.tvp :",
    },

    board: {
        heading: "Board",
        lead: "A board on USB with MicroPython: the page copies package, encoder and words, tests them there and shows the board's own answers.",
        connect: "Connect board",
        disconnect: "Disconnect",
        unsupported: "This browser cannot talk to boards; Chrome, Edge and a current Firefox on a PC can. Download the file and copy it by hand.",
        insecure: "A browser talks to boards from safe pages only: open the page from disk or by tinyvlm-studio (http://localhost).",
        noPort: "No board was chosen. If yours is not in the list, try another USB cable (some only charge).",
        lost: (why: string) => `${why}. Connect it again.`,
        connecting: "Asking the board what it is …",
        deploy: "Copy to the board",
        replace: "Copy, and replace its encoder",
        copying: (percentDone: number, path: string) => `Copying ${path}: ${percentDone} %`,
        copied: (paths: string) => `Copied: ${paths}.`,
        unchanged: (paths: string) => `There already: ${paths}.`,
        testing: "The board tests itself …",
        passed: (text: string) => `Self-test passed: ${text}`,
        run: "Run detect.py",
        stop: "Stop",
        running: "detect.py runs on the board.",
        ended: "detect.py has ended.",
        log: "What the board says",
        facts: {
            machine: "Board",
            firmware: "Firmware",
            engine: "Engine",
            package: "Package",
            encoder: "Encoder",
            words: "Words",
            memory: "Memory",
            none: "none",
            free: (bytes: number) => `${kb(bytes)} free`,
            engines: {
                "built in": "in the firmware",
                native: "as a native module",
                python: "plain Python: right, but slow",
                none: "none yet",
            },
        },
    },

    foot: {
        photos:
            "Sample photos from scikit-image (public domain or CC0: astronaut by NASA, chelsea by Stéfan van der Walt, coffee by Rachel Michetti, " +
            "coins of the Brooklyn Museum, rocket by SpaceX, motorcycle by Daniel Scharstein) and from scikit-learn " +
            "(CC BY 2.0: china by danielbuechele, dahlia by vultilion).",
        limits:
            "A toy's eye: it is often wrong, and nothing here has run on a real board yet. Not for people, alarms, or anything where a wrong answer hurts.",
        version: (version: string) => `tinyvlm ${version}, MIT licence. Encoder: for research and hobby use.`,
    },
};
