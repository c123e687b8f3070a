// SPDX-License-Identifier: MIT
//
// Photos that somebody chose or dropped, with the folder in which each lies.

export interface Photo {
    file: File;
    folder: string; // of the folder it lies in, its name; "" where there is none
}

const PICTURE = /\.(jpe?g|png|webp|gif|bmp|avif)$/i;
const MARK = ".tinyvlm.png"; // what tinyvlm-try wrote

function isPhoto({ name, type }: File): boolean {
    return (type.startsWith("image/") || PICTURE.test(name)) && !name.endsWith(MARK) && !name.startsWith(".");
}

// What an <input type=file> has, of a folder too.
export function chosen(input: HTMLInputElement): Photo[] {
    const files = Array.from(input.files ?? []).filter(isPhoto);
    input.value = ""; // so that the same can be chosen again
    return sorted(files.map((file) => ({ file, folder: file.webkitRelativePath.split("/").at(-2) ?? "" })));
}

// What was dropped, folders with all that is in them. The list of items is only there until the
// first await, so each is asked at once; by handles first: Chrome cannot read entries of a page
// that was opened from disk.
export async function dropped(transfer: DataTransfer): Promise<Photo[]> {
    const found = Array.from(transfer.items, (item): Promise<Photo[]> => {
        if (item.kind !== "file") {
            return Promise.resolve([]);
        }
        const file = item.getAsFile();
        const entry = item.webkitGetAsEntry?.() ?? null;
        const handle = (item as { getAsFileSystemHandle?: () => Promise<unknown> }).getAsFileSystemHandle?.();
        return inside(file, entry, handle);
    });
    const all = (await Promise.all(found)).flat();
    return sorted(all.filter(({ file }) => isPhoto(file)));
}

async function inside(
    file: File | null,
    entry: FileSystemEntry | null,
    handle?: Promise<unknown>,
): Promise<Photo[]> {
    const known = (await handle?.catch(() => null)) as Handle | null | undefined;
    if (known?.kind === "directory") {
        return walk(known);
    }
    if (entry?.isDirectory) {
        return entries(entry as FileSystemDirectoryEntry);
    }
    return file ? [{ file, folder: "" }] : [];
}

interface Handle {
    kind: "file" | "directory";
    name: string;
    values(): AsyncIterable<Handle>;
    getFile(): Promise<File>;
}

async function walk(folder: Handle): Promise<Photo[]> {
    const found: Photo[] = [];
    for await (const one of folder.values()) {
        if (one.kind === "directory") {
            found.push(...(await walk(one)));
        } else {
            found.push({ file: await one.getFile(), folder: folder.name });
        }
    }
    return found;
}

async function entries(folder: FileSystemDirectoryEntry): Promise<Photo[]> {
    const reader = folder.createReader();
    const found: Photo[] = [];
    for (;;) {
        const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
        if (!some.length) {
            return found;
        }
        for (const one of some) {
            if (one.isDirectory) {
                found.push(...(await entries(one as FileSystemDirectoryEntry)));
            } else {
                const file = await new Promise<File>((done, fail) => (one as FileSystemFileEntry).file(done, fail));
                found.push({ file, folder: folder.name });
            }
        }
    }
}

function sorted(photos: Photo[]): Photo[] {
    const key = ({ file, folder }: Photo) => `${folder}/${file.name}`;
    return photos.sort((a, b) => key(a).localeCompare(key(b), "en", { numeric: true }));
}
