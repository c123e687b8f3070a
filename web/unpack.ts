// SPDX-License-Identifier: MIT
//
// The bytes of a file that was imported with `?packed` (packed.ts).

export async function unpack(text: string): Promise<Uint8Array<ArrayBuffer>> {
    const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}
