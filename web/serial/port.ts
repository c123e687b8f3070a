// SPDX-License-Identifier: MIT
//
// A serial port as browsers have it (Web Serial's SerialPort), as far as boards need it, and one
// that is made of callbacks: for tests, in node and in a browser.

export interface Port {
    readonly readable: ReadableStream<Uint8Array> | null;
    readonly writable: WritableStream<Uint8Array> | null;
    open(options: { baudRate: number; bufferSize?: number }): Promise<void>;
    close(): Promise<void>;
}

export interface Wire {
    readonly port: Port;
    feed(bytes: Uint8Array): void; // what the board says
    unplug(): void; // the cable is pulled
}

// It behaves as Chrome's: one opening at a time, an error of its name when the cable is pulled. The
// function needs nothing around it, so that a test can send its text into a page.
export function makePort(send: (bytes: Uint8Array) => void | Promise<void>, closed?: () => void): Wire {
    const error = (text: string, name: string) => new DOMException(text, name);
    const lost = () => error("The device has been lost.", "NetworkError");
    let gone = false;
    let incoming: ReadableStreamDefaultController<Uint8Array> | null = null;
    const port = {
        readable: null as ReadableStream<Uint8Array> | null,
        writable: null as WritableStream<Uint8Array> | null,
        async open(): Promise<void> {
            if (port.readable || port.writable) {
                throw error("The port is already open.", "InvalidStateError");
            }
            if (gone) {
                throw error("Failed to open serial port.", "NetworkError");
            }
            port.readable = new ReadableStream<Uint8Array>({
                start: (controller) => void (incoming = controller),
                cancel: () => void (incoming = null),
            });
            port.writable = new WritableStream<Uint8Array>({
                write: (bytes) => (gone ? Promise.reject(lost()) : send(bytes)),
            });
        },
        async close(): Promise<void> {
            if (port.readable?.locked || port.writable?.locked) {
                throw new TypeError("The port's streams are locked.");
            }
            port.readable = port.writable = incoming = null;
            closed?.();
        },
    };
    return {
        port,
        feed: (bytes) => incoming?.enqueue(bytes),
        unplug: () => {
            gone = true;
            incoming?.error(lost());
            port.readable = port.writable = incoming = null;
        },
    };
}
